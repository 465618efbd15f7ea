/* A virtio SCSI controller for tests. See scsi_rig.h. */
#include "scsi_rig.h"

#include "base/bits.h"

#include <stdlib.h>

int scsi_plug(struct scsi_fixture *f, unsigned target, unsigned lun, struct mem_blk *blk,
              bool cdrom)
{
    struct vr_virtio_scsi_unit u = {.kind = cdrom ? VR_SCSI_CDROM : VR_SCSI_DISK,
                                    .target = target,
                                    .lun = lun,
                                    .blk = blk ? &blk->blk : NULL,
                                    .serial = target == T_DISK ? "SN 12" : NULL};
    return vr_virtio_scsi_plug(f->dev, &u, NULL);
}

int scsi_setup(void **state)
{
    static struct scsi_fixture f;
    rig_init(&f.rig);
    assert_int_equal(vr_loop_create(&f.loop, NULL), 0);
    f.rig.env.loop = f.loop;
    mem_blk_init(&f.disk, DISK, f.loop);
    mem_blk_init(&f.disc, DISC, f.loop);
    mem_blk_init(&f.plain, DISK, f.loop);
    f.disc.blk.read_only = true;
    f.plain.blk.discard = false;
    f.dev = rig_dev(&f.rig, &vr_virtio_scsi_mmio_class, "queues=3," VD_OPTS);
    assert_int_equal(scsi_plug(&f, T_DISK, 0, &f.disk, false), 0);
    assert_int_equal(scsi_plug(&f, T_CDROM, 0, &f.disc, true), 0);
    assert_int_equal(scsi_plug(&f, T_PLAIN, 0, &f.plain, false), 0);
    vd_init(&f.d, &f.rig, f.dev);
    *state = &f;
    return 0;
}

int scsi_teardown(void **state)
{
    struct scsi_fixture *f = *state;
    mem_blk_release(&f->disk, UINT32_MAX);
    vr_dev_destroy(f->dev);
    mem_blk_fini(&f->disk);
    mem_blk_fini(&f->disc);
    mem_blk_fini(&f->plain);
    vr_loop_destroy(f->loop);
    rig_fini(&f->rig);
    return 0;
}

bool scsi_done(struct scsi_fixture *f, unsigned queue, uint32_t *ret_len)
{
    for (unsigned turns = 0; turns < 2000; turns++) {
        if (vd_used(&f->d, queue, NULL, ret_len)) {
            return true;
        }
        vr_loop_turn(f->loop, 0);
    }
    return false;
}

uint64_t cmd_add(struct scsi_fixture *f, unsigned queue, const struct cmd *c, uint64_t id,
                 unsigned cut)
{
    struct vd *d = &f->d;
    uint8_t head[51] = {1, c->target, (uint8_t)(0x40 | c->lun >> 8), (uint8_t)c->lun};
    vr_store_le64(head + 8, id);
    memcpy(head + 19, c->cdb, c->cdb_len);
    struct vd_buf bufs[128], in = vd_in(d, RESPONSE + c->in_len);
    uint64_t gpa = vd_alloc(d, sizeof(head) + c->out_len, 1);
    memcpy(vd_hva(d, gpa), head, sizeof(head));
    if (c->out_len) {
        memcpy(vd_hva(d, gpa + sizeof(head)), c->out, c->out_len);
    }
    struct vd_buf out = {.gpa = gpa, .len = (uint32_t)sizeof(head) + c->out_len};
    unsigned n = vd_split(out, cut ? cut : UINT32_MAX, bufs, 64);
    n += vd_split(in, cut ? cut : UINT32_MAX, bufs + n, 64);
    vd_add(d, queue, bufs, n);
    vd_kick(d, queue);
    return in.gpa;
}

void cmd_answer(struct scsi_fixture *f, struct cmd *c, uint64_t gpa)
{
    const uint8_t *a = vd_hva(&f->d, gpa);
    c->residual = vr_load_le32(a + 4);
    c->status = a[10];
    c->response = a[11];
    c->sense = vr_load_le32(a) ? SENSE(a[12 + 2], a[12 + 12], a[12 + 13]) : 0;
    c->in = vd_hva(&f->d, gpa) + RESPONSE;
}

void cmd_run(struct scsi_fixture *f, struct cmd *c, unsigned cut)
{
    uint64_t gpa = cmd_add(f, REQUEST, c, 77, cut);
    if (!scsi_done(f, REQUEST, &c->used)) {
        fail_msg("command 0x%02x never ended", c->cdb[0]);
    }
    cmd_answer(f, c, gpa);
}

struct cmd ask(struct scsi_fixture *f, uint8_t target, const uint8_t *cdb, unsigned len,
               uint32_t in_len)
{
    struct cmd c = {.target = target, .cdb = cdb, .cdb_len = len, .in_len = in_len};
    cmd_run(f, &c, 0);
    return c;
}

struct cmd give(struct scsi_fixture *f, uint8_t target, const uint8_t *cdb, unsigned len,
                const void *out, uint32_t out_len)
{
    struct cmd c = {.target = target, .cdb = cdb, .cdb_len = len, .out = out, .out_len = out_len};
    cmd_run(f, &c, 0);
    return c;
}

void scsi_start(struct scsi_fixture *f, uint64_t features)
{
    vd_start(&f->d, features, 64);
    for (uint8_t t = 0; t < 3; t++) {
        assert_sense(ask(f, t, CDB(0x00), 0), 6, 0x29, 0);
        assert_good(ask(f, t, CDB(0x00), 0));
    }
}
