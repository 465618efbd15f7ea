/*
 * The link of a network card is an input: in a recording it goes up and down where the cable and
 * the other side have it, in the replay at the same steps, with nobody there.
 */
#include "vm_guest.h"

#include "backend/net/net.h"
#include "control/vm_priv.h"
#include "core/machine.h"
#include "platform/unixsock.h"

#include <poll.h>

/* Finds the card among the slots on MMIO (VIRTIO 1.3, 4.2.2), and says each change of its link
 * (5.1.4: status). */
static const uint32_t watcher[] = {
    0x100002b7, /* lui  t0, 0x10000      the 16550 */
    0x100013b7, /* lui  t2, 0x10001      the first slot */
    0x00100e13, /* li   t3, 1            up; and a card's DeviceID */
    0x00001eb7, /* lui  t4, 1 */
    0x0083a303, /* 1: lw t1, 8(t2) */
    0x01c30663, /* beq  t1, t3, 2f */
    0x01d383b3, /* add  t2, t2, t4 */
    0xff5ff06f, /* j    1b */
    0x1063d303, /* 2: lhu t1, 0x106(t2) */
    0x00137313, /* andi t1, t1, 1 */
    0xffc30ce3, /* beq  t1, t3, 2b */
    0x00030e13, /* mv   t3, t1 */
    0x03030313, /* addi t1, t1, '0' */
    0x00628023, /* sb   t1, 0(t0) */
    0xfe9ff06f, /* j    2b */
};

struct world {
    struct place program;
    char tape[80], path[80];
    struct vr_unix sock;
};

static struct vireo_config *world_config(const struct world *w, const char *key)
{
    struct vr_error err;
    char net[100];
    struct vireo_config *c = config_for(w->program.path);
    snprintf(net, sizeof(net), "stream,path=%s", w->path);
    assert_int_equal(vireo_config_set(c, "machine", "virt,virtio=mmio", &err), 0);
    assert_int_equal(vireo_config_set(c, "console", "mem", &err), 0);
    assert_int_equal(vireo_config_set(c, "net", net, &err), 0);
    assert_int_equal(vireo_config_set(c, key, w->tape, &err), 0);
    return c;
}

static int meet(struct world *w)
{
    struct pollfd p = {.fd = w->sock.fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 60000), 1);
    int peer = vr_unix_accept(&w->sock);
    assert_true(peer >= 0);
    return peer;
}

static void pull(struct guest *g, bool up)
{
    vr_machine_hold_devs(g->vm->machine);
    vr_net_set_link(vr_virt_net(g->vm->virt, "net0"), up);
    vr_machine_release_devs(g->vm->machine);
}

static void record(struct world *w)
{
    struct guest g;
    struct vireo_config *c = world_config(w, "record");
    assert_int_equal(vr_unix_listen(w->path, &w->sock, NULL), 0);
    guest_start(&g, c);
    int peer = meet(w);
    pull(&g, false);
    guest_expect(&g, "0");
    pull(&g, true);
    guest_expect(&g, "01");
    close(peer);
    guest_expect(&g, "010");
    peer = meet(w); /* it looks for somebody every second */
    guest_expect(&g, "0101");
    vireo_vm_stop(g.vm, 0);
    assert_ended(g.vm, VIREO_END_STOP, 0);
    guest_end(&g);
    vireo_config_destroy(c);
    close(peer);
    vr_unix_close(&w->sock);
}

static void links_go_up_and_down_where_they_did(void **state)
{
    struct world w = {.sock = {.fd = -1}};
    struct guest g;
    (void)state;
    place_program(&w.program, watcher, VR_COUNT(watcher));
    snprintf(w.tape, sizeof(w.tape), "%s/tape", w.program.dir);
    snprintf(w.path, sizeof(w.path), "%s/socket", w.program.dir);
    record(&w);
    struct vireo_config *c = world_config(&w, "replay");
    guest_start(&g, c);
    assert_ended(g.vm, VIREO_END_STOP, 0); /* which it is not where a hash differs */
    assert_string_equal(g.text, "0101");
    guest_end(&g);
    vireo_config_destroy(c);
    unlink(w.tape);
    place_remove(&w.program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_go_up_and_down_where_they_did),
    };
    return cmocka_run_group_tests_name("det_link", tests, NULL, NULL);
}
