/* The virtio file system device with a real share behind it: messages in every mode of the ring and
 * every cut, what goes wrong before a server sees it, resets and snapshots with requests in flight.
 * What the messages mean is tested in tests/unit/fs_*_test.c. VIRTIO 1.3, section 5.11. */
#include "virtq_driver.h"

#include "backend/fs/fs.h"
#include "backend/fs/wire.h"
#include "base/bits.h"
#include "dev/virtio/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUT = sizeof(struct fuse_out_header), ROOM = 8192 };

struct fixture {
    struct rig rig;
    struct vr_loop *loop;
    struct vr_fs *fs;
    struct vr_dev *dev;
    struct vd d;
    char dir[64], file[80];
    uint64_t unique;
};

static struct vr_fs *open_share(struct fixture *f)
{
    const struct vr_fs_dir_opts opts = {.path = f->dir};
    struct vr_error err = {0};
    struct vr_fs *fs = NULL;
    if (vr_fs_open_dir(&opts, f->loop, &fs, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return fs;
}

static void plug(struct fixture *f)
{
    f->fs = open_share(f);
    f->dev = rig_dev(&f->rig, &vr_virtio_fs_mmio_class, VD_OPTS ",tag=source");
    vr_virtio_fs_attach(f->dev, f->fs);
    vd_init(&f->d, &f->rig, f->dev);
}

static void unplug(struct fixture *f)
{
    vr_dev_destroy(f->dev);
    vr_fs_close(f->fs);
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    rig_init(&f.rig);
    assert_int_equal(vr_loop_create(&f.loop, NULL), 0);
    f.rig.env.loop = f.loop;
    snprintf(f.dir, sizeof(f.dir), "virtio_fs_XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    snprintf(f.file, sizeof(f.file), "%s/file", f.dir);
    int fd = open(f.file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);
    plug(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unplug(f);
    vr_loop_destroy(f->loop);
    rig_fini(&f->rig);
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(rmdir(f->dir), 0);
    return 0;
}

static struct vd_buf message(struct fixture *f, unsigned op, uint64_t node, const void *arg,
                             size_t arg_len, const void *more, size_t more_len)
{
    uint8_t raw[512];
    struct fuse_in_header h = {.len = (uint32_t)(sizeof(h) + arg_len + more_len),
                               .opcode = op,
                               .unique = ++f->unique,
                               .nodeid = node};
    assert_true(h.len <= sizeof(raw));
    memcpy(raw, &h, sizeof(h));
    memcpy(raw + sizeof(h), arg, arg_len);
    memcpy(raw + sizeof(h) + arg_len, more, more_len);
    return vd_out(&f->d, raw, h.len);
}

/* Wait until the device gives a chain of @queue back; the reply's length. */
static uint32_t wait_used(struct fixture *f, unsigned queue)
{
    uint32_t len;
    while (!vd_used(&f->d, queue, NULL, &len)) {
        vr_loop_turn(f->loop, -1);
    }
    return len;
}

/* One message in pieces of @piece bytes; the reply is at *ret_reply. */
static int call(struct fixture *f, struct vd_buf msg, uint32_t piece, const uint8_t **ret_reply)
{
    struct vd_buf bufs[600], in = vd_in(&f->d, ROOM);
    struct fuse_out_header h;
    unsigned n = vd_split(msg, piece, bufs, 300);
    n += vd_split(in, piece < 64 ? 64 : piece, bufs + n, 300);
    vd_add(&f->d, 1, bufs, n);
    vd_kick(&f->d, 1);
    uint32_t len = wait_used(f, 1);
    assert_true(len >= sizeof(h));
    memcpy(&h, vd_hva(&f->d, in.gpa), sizeof(h));
    assert_int_equal(h.len, len);
    assert_int_equal(h.unique, f->unique);
    *ret_reply = vd_hva(&f->d, in.gpa) + OUT;
    return h.error ? h.error : (int)(len - OUT);
}

static void begin(struct fixture *f, uint64_t features)
{
    const struct fuse_init_in in = {.major = FUSE_MAJOR, .minor = FUSE_MINOR, .flags = UINT32_MAX};
    const uint8_t *reply;
    vd_start(&f->d, features, 256);
    struct vd_buf msg = message(f, FUSE_INIT, 0, &in, sizeof(in), "", 0);
    assert_int_equal(call(f, msg, 4096, &reply), sizeof(struct fuse_init_out));
}

/* "file", looked up and opened. */
static void open_file(struct fixture *f, uint64_t *ret_node, uint64_t *ret_fh)
{
    const struct fuse_open_in in = {.flags = O_RDWR};
    struct fuse_entry_out entry;
    struct fuse_open_out out;
    const uint8_t *reply;
    struct vd_buf msg = message(f, FUSE_LOOKUP, FUSE_ROOT_ID, "", 0, "file", 5);
    assert_int_equal(call(f, msg, 4096, &reply), sizeof(entry));
    memcpy(&entry, reply, sizeof(entry));
    msg = message(f, FUSE_OPEN, entry.nodeid, &in, sizeof(in), "", 0);
    assert_int_equal(call(f, msg, 4096, &reply), sizeof(out));
    memcpy(&out, reply, sizeof(out));
    *ret_node = entry.nodeid;
    *ret_fh = out.fh;
}

static void messages_go_both_ways_in_every_mode_and_cut(void **state)
{
    static const uint32_t cuts[] = {1, 7, 16, 40, 41, 4096};
    struct fixture *f = *state;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        for (unsigned i = 0; i < VR_COUNT(cuts); i++) {
            uint64_t node, fh;
            const uint8_t *reply;
            bool fine = vd_modes[m].features & VR_VIRTIO_F_INDIRECT_DESC;
            if (!fine && cuts[i] < 16) {
                continue; /* a ring has only so many */
            }
            begin(f, vd_modes[m].features);
            open_file(f, &node, &fh);
            const struct fuse_write_in w = {.fh = fh, .offset = 4, .size = 3};
            struct vd_buf msg = message(f, FUSE_WRITE, node, &w, sizeof(w), "abc", 3);
            assert_int_equal(call(f, msg, cuts[i], &reply), sizeof(struct fuse_write_out));
            const struct fuse_read_in r = {.fh = fh, .size = 100};
            msg = message(f, FUSE_READ, node, &r, sizeof(r), "", 0);
            assert_int_equal(call(f, msg, cuts[i], &reply), 10);
            assert_memory_equal(reply, "0123abc789", 10);
        }
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

/* The device copies headers; data goes between the file and guest memory. */
static void data_is_never_copied(void **state)
{
    struct fixture *f = *state;
    uint64_t node, fh;
    const uint8_t *reply;
    begin(f, 0);
    open_file(f, &node, &fh);
    uint64_t before = vd_stats(&f->d, 1)->copied;
    const struct fuse_read_in r = {.fh = fh, .size = 4096};
    assert_int_equal(call(f, message(f, FUSE_READ, node, &r, sizeof(r), "", 0), 4096, &reply), 10);
    assert_int_equal(vd_stats(&f->d, 1)->copied - before, sizeof(struct fuse_in_header));
}

static void configuration_names_the_share(void **state)
{
    struct fixture *f = *state;
    char tag[37] = "";
    for (unsigned i = 0; i < 36; i++) {
        tag[i] = (char)vd_config(&f->d, i, 1);
    }
    assert_string_equal(tag, "source");
    assert_int_equal(vd_config(&f->d, 36, 4), 1); /* request queues */
    struct vr_error err = {0};
    struct vr_dev *dev;
    assert_true(vr_dev_create(&vr_virtio_fs_mmio_class, "x", "tag=", &f->rig.env, &dev, &err) < 0);
    assert_true(vr_dev_create(&vr_virtio_fs_mmio_class, "x",
                              "tag=1234567890123456789012345678901234567", &f->rig.env, &dev,
                              &err) < 0);
}

/* Messages that need no reply, on the queue that does not wait. */
static void forgets_have_no_reply(void **state)
{
    struct fixture *f = *state;
    const struct fuse_forget_in in = {.nlookup = 1};
    const struct fuse_getattr_in get = {.flags = 0};
    uint64_t node, fh;
    const uint8_t *reply;
    begin(f, 0);
    open_file(f, &node, &fh);
    const struct fuse_release_in release = {.fh = fh};
    (void)call(f, message(f, FUSE_RELEASE, node, &release, sizeof(release), "", 0), 4096, &reply);
    struct vd_buf msg = message(f, FUSE_FORGET, node, &in, sizeof(in), "", 0);
    vd_add(&f->d, 0, &msg, 1);
    vd_kick(&f->d, 0);
    assert_int_equal(wait_used(f, 0), 0);
    msg = message(f, FUSE_GETATTR, node, &get, sizeof(get), "", 0);
    assert_int_equal(call(f, msg, 4096, &reply), -ESTALE);
    /* A message that wants one, and has no room, or too little. */
    msg = message(f, FUSE_GETATTR, FUSE_ROOT_ID, &get, sizeof(get), "", 0);
    struct vd_buf little[] = {msg, vd_in(&f->d, 15)};
    vd_add(&f->d, 1, little, 1);
    vd_add(&f->d, 1, little, 2);
    vd_kick(&f->d, 1);
    assert_int_equal(wait_used(f, 1), 0);
    assert_int_equal(wait_used(f, 1), 0);
    assert_false(vd_needs_reset(&f->d));
}

static void row_5_messages_without_a_header(void **state)
{
    struct fixture *f = *state;
    for (unsigned queue = 0; queue < 2; queue++) {
        for (unsigned len = 0; len < 40; len += 13) {
            vd_start(&f->d, 0, 16);
            struct vd_buf bufs[] = {vd_out(&f->d, "", 0), vd_in(&f->d, 100)};
            bufs[0] = (struct vd_buf){.gpa = bufs[1].gpa, .len = len};
            vd_add(&f->d, queue, bufs, 2);
            vd_kick(&f->d, queue);
            assert_true(vd_needs_reset(&f->d));
        }
    }
    begin(f, 0);
}

static void without_a_server_it_says_so(void **state)
{
    struct fixture *f = *state;
    const struct fuse_getattr_in get = {.flags = 0};
    const uint8_t *reply;
    vr_virtio_fs_attach(f->dev, NULL);
    vd_start(&f->d, 0, 16);
    struct vd_buf msg = message(f, FUSE_GETATTR, 1, &get, sizeof(get), "", 0);
    assert_int_equal(call(f, msg, 4096, &reply), -ENOTCONN);
    vr_virtio_fs_attach(f->dev, f->fs);
    begin(f, 0);
}

/* A dozen requests of several kinds on their way. */
static void in_flight(struct fixture *f, uint64_t node, uint64_t fh)
{
    const struct fuse_read_in r = {.fh = fh, .size = 4096};
    const struct fuse_write_in w = {.fh = fh, .size = 2};
    for (unsigned i = 0; i < 12; i++) {
        struct vd_buf bufs[] = {i % 3 == 0   ? message(f, FUSE_READ, node, &r, sizeof(r), "", 0)
                                : i % 3 == 1 ? message(f, FUSE_WRITE, node, &w, sizeof(w), "01", 2)
                                             : message(f, FUSE_LOOKUP, 1, "", 0, "file", 5),
                                vd_in(&f->d, 4200)};
        vd_add(&f->d, 1, bufs, 2);
    }
    vd_kick(&f->d, 1);
}

static void row_8_share_reset_with_requests_in_flight(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 120; round++) {
        uint64_t node, fh;
        const uint8_t *reply;
        struct vr_snap snap;
        begin(f, round % 2 ? VR_VIRTIO_F_INDIRECT_DESC : 0);
        open_file(f, &node, &fh);
        in_flight(f, node, fh);
        switch (round % 5) {
        case 0:
            vd_set(&f->d, VD_STATUS, 0);
            break;
        case 1:
            vr_dev_reset(f->dev);
            break;
        case 2: /* the driver takes the queue away */
            vd_set(&f->d, VD_QUEUE_SEL, 1);
            vd_set(&f->d, VD_QUEUE_READY, 0);
            break;
        case 3: /* unplugged, and another in its place */
            unplug(f);
            plug(f);
            break;
        default: /* saved; it goes on with another server, which finds the file again */
            vr_dev_quiesce(f->dev);
            vr_snap_init(&snap);
            assert_int_equal(vr_dev_save(f->dev, &snap, NULL), 0);
            vr_virtio_fs_attach(f->dev, NULL);
            vr_fs_close(f->fs);
            f->fs = open_share(f);
            vr_virtio_fs_attach(f->dev, f->fs);
            assert_int_equal(vr_dev_load(f->dev, &snap, NULL), 0);
            vr_snap_fini(&snap);
            vr_clock_step(f->rig.env.clock, 1000000);
            for (unsigned i = 0; i < 12; i++) {
                assert_true(vd_used(&f->d, 1, NULL, NULL)); /* all were done before */
            }
            const struct fuse_read_in r = {.fh = fh, .size = 100};
            assert_int_equal(
                call(f, message(f, FUSE_READ, node, &r, sizeof(r), "", 0), 4096, &reply), 10);
            break;
        }
    }
    begin(f, 0);
    assert_int_equal(f->dev->guest_errors, 0);
}

/* A server that is slow with everything that is not urgent. */
struct slow_fs {
    struct vr_fs fs;
    struct vr_job *held;
    unsigned held_count;
};

static void slow_submit(struct vr_fs *fs, struct vr_fs_req *req)
{
    struct slow_fs *s = (struct slow_fs *)fs;
    if (req->urgent) {
        vr_fs_complete(fs, req, 0);
    } else {
        req->job.next = s->held;
        s->held = &req->job;
        s->held_count++;
    }
}

static void slow_reset(struct vr_fs *fs)
{
    (void)fs;
}

/* The high priority queue goes on, whatever the other one does (5.11.6.2). */
static void the_urgent_do_not_wait(void **state)
{
    static const struct vr_fs_ops ops = {
        .name = "slow", .submit = slow_submit, .reset = slow_reset};
    struct fixture *f = *state;
    struct slow_fs slow = {.held = NULL};
    const uint64_t lookups[1] = {1};
    unplug(f);
    assert_int_equal(vr_fs_init(&slow.fs, &ops, f->loop, NULL), 0);
    f->dev = rig_dev(&f->rig, &vr_virtio_fs_mmio_class, VD_OPTS ",tag=source");
    vr_virtio_fs_attach(f->dev, &slow.fs);
    vd_init(&f->d, &f->rig, f->dev);
    vd_start(&f->d, 0, 128);
    struct vd_buf out = message(f, FUSE_GETATTR, 1, "", 0, "", 0), in = vd_in(&f->d, 64);
    const struct vd_buf bufs[] = {out, in};
    for (unsigned i = 0; i < 64; i++) { /* as many as there is room for */
        vd_add(&f->d, 1, bufs, 2);
    }
    vd_kick(&f->d, 1);
    for (unsigned i = 0; i < 300; i++) {
        struct vd_buf forget = message(f, FUSE_FORGET, 1, lookups, sizeof(lookups), "", 0);
        vd_add(&f->d, 0, &forget, 1);
        vd_kick(&f->d, 0);
        assert_int_equal(wait_used(f, 0), 0);
    }
    assert_false(vd_used(&f->d, 1, NULL, NULL));
    assert_int_equal(slow.held_count, 64);
    while (slow.held) {
        struct vr_job *job = slow.held;
        slow.held = job->next;
        vr_fs_complete(&slow.fs, vr_fs_req_of(job), 0);
        (void)wait_used(f, 1);
    }
    vr_dev_destroy(f->dev);
    vr_fs_fini(&slow.fs);
    plug(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_go_both_ways_in_every_mode_and_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(data_is_never_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(configuration_names_the_share, setup, teardown),
        cmocka_unit_test_setup_teardown(forgets_have_no_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(row_5_messages_without_a_header, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_server_it_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(row_8_share_reset_with_requests_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(the_urgent_do_not_wait, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
