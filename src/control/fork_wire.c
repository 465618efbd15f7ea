/*
 * A fork on its way to another process: what the control socket's x-vireo-fork returns, and the
 * descriptors that come with it. In their order: a memory file with the state and then, from
 * "places-offset" on, the places of RAM (file and slot, 4 bytes each, little-endian); the lease;
 * the files of RAM; of each layer of each disk its data, map, index and kept file, as far as it has
 * them.
 *
 * The reader believes nothing: numbers are checked here, RAM's places by vr_ram_frozen_check, the
 * rest by whoever uses it.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "control/client.h"
#include "control/fork.h"
#include "platform/file.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <string.h>

enum { WIRE_FDS = 1400, WIRE_STATE_MAX = 1 << 30, WIRE_MS = 60000 };

struct wire_out {
    int *fds;
    unsigned count;
    int result;
};

static void wire_put_fd(struct wire_out *out, int fd)
{
    if (out->result == 0) {
        out->result = out->count < WIRE_FDS ? vr_file_dup(fd, &out->fds[out->count]) : -E2BIG;
        out->count += out->result == 0;
    }
}

static json_t *wire_put_disk(struct wire_out *out, unsigned index, const struct vr_frozen *d)
{
    json_t *layers = json_array();
    for (unsigned i = 0; i < d->layer_count; i++) {
        const struct vr_frozen_layer *l = &d->layer[i];
        wire_put_fd(out, l->data);
        if (l->some) {
            wire_put_fd(out, l->map);
        }
        if (l->index >= 0) {
            wire_put_fd(out, l->index);
            wire_put_fd(out, l->kept);
        }
        (void)json_array_append_new(layers,
                                    json_pack("{s:b, s:b, s:I}", "some", l->some, "past",
                                              l->index >= 0, "moment", (json_int_t)l->moment));
    }
    return json_pack("{s:i, s:s, s:I, s:i, s:o}", "index", (int)index, "path", d->path, "size",
                     (json_int_t)d->size_bytes, "optimal", (int)d->optimal_bytes, "layers", layers);
}

static uint64_t wire_places_off(const struct vireo_fork *f)
{
    return vr_align_up(f->state.len, 8);
}

/* The memory file with state and places. */
static int wire_put_memory(const struct vireo_fork *f, int *ret_fd, struct vr_error *err)
{
    uint64_t at = wire_places_off(f), len = f->ram->place_count * 8;
    uint8_t *places = vr_zalloc(len);
    int fd, r = places ? vireo_memfd_create("vireo-clone", at + len, 0, &fd, err)
                       : vr_err(err, -ENOMEM, "no memory");
    if (r < 0) {
        free(places);
        return r;
    }
    for (uint64_t i = 0; i < f->ram->place_count; i++) {
        vr_store_le32(places + i * 8, f->ram->place[i].file);
        vr_store_le32(places + i * 8 + 4, f->ram->place[i].slot);
    }
    r = vr_file_write(fd, f->state.buf, f->state.len, 0);
    r = r < 0 ? r : vr_file_write(fd, places, len, at);
    free(places);
    if (r < 0) {
        vr_file_close(fd);
        return vr_err(err, r, "a fork's memory file: %s", strerror(-r));
    }
    *ret_fd = fd;
    return 0;
}

int vr_fork_pack(const struct vireo_fork *f, json_t **ret_json, int **ret_fds, unsigned *ret_count,
                 struct vr_error *err)
{
    struct wire_out out = {.fds = vr_zalloc_array(WIRE_FDS, sizeof(int))};
    char *config = NULL;
    int fd = -1, r = out.fds ? 0 : vr_err(err, -ENOMEM, "no memory");
    r = r < 0 ? r : vireo_config_save(f->config, &config, err);
    r = r < 0 ? r : wire_put_memory(f, &fd, err);
    json_t *disks = json_array(), *json = NULL;
    if (r == 0) {
        wire_put_fd(&out, fd);
        wire_put_fd(&out, f->lease);
        for (unsigned i = 0; i < f->ram->file_count; i++) {
            wire_put_fd(&out, f->ram->file[i]);
        }
        for (unsigned i = 0; i < VR_COUNT(f->disk); i++) {
            if (f->disk[i]) {
                (void)json_array_append_new(disks, wire_put_disk(&out, i, f->disk[i]));
            }
        }
        json = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:O, s:i}", "name", f->name,
            "config", config, "pause-ns", (json_int_t)f->info.pause_ns, "copied-bytes",
            (json_int_t)f->info.copied_bytes, "state-bytes", (json_int_t)f->state.len,
            "places-offset", (json_int_t)wire_places_off(f), "ram-bytes", (json_int_t)f->ram->len,
            "ram-chunk", (json_int_t)f->ram->chunk_bytes, "ram-offset", (json_int_t)f->ram->off,
            "ram-files", (int)f->ram->file_count, "disks", disks, "descriptors", (int)out.count);
        r = out.result < 0
                ? vr_err(err, out.result, "a fork's descriptors: %s", strerror(-out.result))
            : !json ? vr_err(err, -ENOMEM,
                             "a fork in JSON: no memory, or a name that is "
                             "no UTF-8")
                    : 0;
    }
    json_decref(disks);
    vr_file_close(fd);
    vireo_config_text_free(config);
    if (r < 0) {
        json_decref(json);
        while (out.count) {
            vr_file_close(out.fds[--out.count]);
        }
        free(out.fds);
        return r;
    }
    *ret_json = json;
    *ret_fds = out.fds;
    *ret_count = out.count;
    return 0;
}

/* ---- Reading ---- */

struct wire_in {
    int *fds;
    unsigned count, at;
    bool bad;
};

static int wire_get_fd(struct wire_in *in)
{
    if (in->at >= in->count) {
        in->bad = true;
        return -1;
    }
    int fd = in->fds[in->at];
    in->fds[in->at++] = -1;
    return fd;
}

static uint64_t wire_get(struct wire_in *in, const json_t *json, const char *key, uint64_t max)
{
    const json_t *v = json_object_get(json, key);
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 0 || (uint64_t)n > max) {
        in->bad = true;
        return 0;
    }
    return (uint64_t)n;
}

static void wire_get_layer(struct wire_in *in, const json_t *json, struct vr_frozen *d)
{
    struct vr_frozen_layer *l = &d->layer[d->layer_count++];
    l->some = json_is_true(json_object_get(json, "some"));
    l->moment = (uint32_t)wire_get(in, json, "moment", UINT32_MAX);
    l->data = wire_get_fd(in);
    l->map = l->some ? wire_get_fd(in) : -1;
    l->index = l->kept = -1;
    if (json_is_true(json_object_get(json, "past"))) {
        l->index = wire_get_fd(in);
        l->kept = wire_get_fd(in);
    }
}

static int wire_get_disk(struct wire_in *in, const json_t *json, struct vireo_fork *f,
                         struct vr_error *err)
{
    const char *path = json_string_value(json_object_get(json, "path"));
    const json_t *layers = json_object_get(json, "layers");
    uint64_t i = wire_get(in, json, "index", VR_VIRT_DISKS - 1);
    uint64_t size = wire_get(in, json, "size", INT64_MAX);
    uint64_t optimal = wire_get(in, json, "optimal", UINT32_MAX);
    size_t count = json_array_size(layers);
    if (in->bad || !path || f->disk[i] || count == 0 || count > VR_FROZEN_LAYERS || size == 0 ||
        size % 512 || json_is_true(json_object_get(json_array_get(layers, 0), "some"))) {
        in->bad = true;
        return 0;
    }
    int r = vr_frozen_create(path, size, (uint32_t)optimal, &f->disk[i], err);
    for (size_t k = 0; r == 0 && k < count && !in->bad; k++) {
        wire_get_layer(in, json_array_get(layers, k), f->disk[i]);
    }
    return r;
}

/* State and places, out of the memory file. */
static int wire_get_memory(int fd, uint64_t state_len, uint64_t at, struct vireo_fork *f,
                           struct vr_error *err)
{
    uint64_t len = f->ram->place_count * 8;
    uint8_t *places = vr_zalloc(len);
    f->state.buf = vr_zalloc(state_len);
    f->ram->place = vr_zalloc_array(f->ram->place_count, sizeof(*f->ram->place));
    int r = places && f->state.buf && f->ram->place ? 0 : vr_err(err, -ENOMEM, "no memory");
    if (r == 0) {
        f->state.len = f->state.cap = (size_t)state_len;
        r = vr_file_read(fd, f->state.buf, f->state.len, 0);
        r = r < 0 ? r : vr_file_read(fd, places, (size_t)len, at);
        r = r < 0 ? vr_err(err, -EPROTO, "a fork's memory file: %s", strerror(-r)) : 0;
    }
    for (uint64_t i = 0; r == 0 && i < f->ram->place_count; i++) {
        f->ram->place[i] = (struct vr_ram_place){.file = vr_load_le32(places + i * 8),
                                                 .slot = vr_load_le32(places + i * 8 + 4)};
    }
    free(places);
    return r < 0 ? r : vr_ram_frozen_check(f->ram, err);
}

static int wire_get_all(struct wire_in *in, const json_t *json, struct vireo_fork *f,
                        struct vr_error *err)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *config = json_string_value(json_object_get(json, "config"));
    const json_t *disks = json_object_get(json, "disks"), *disk;
    struct vr_ram_frozen *ram = f->ram = vr_zalloc(sizeof(*ram));
    uint64_t state_len = wire_get(in, json, "state-bytes", WIRE_STATE_MAX);
    uint64_t at = wire_get(in, json, "places-offset", 2 * (uint64_t)WIRE_STATE_MAX);
    uint64_t files = wire_get(in, json, "ram-files", VR_RAM_FILES);
    uint64_t fds = wire_get(in, json, "descriptors", WIRE_FDS);
    size_t i;
    f->name = name ? strdup(name) : NULL;
    if (!ram || (name && !f->name)) {
        return vr_err(err, -ENOMEM, "no memory for a fork");
    }
    f->info.pause_ns = wire_get(in, json, "pause-ns", INT64_MAX);
    f->info.copied_bytes = ram->copied_bytes = wire_get(in, json, "copied-bytes", INT64_MAX);
    ram->len = wire_get(in, json, "ram-bytes", INT64_MAX);
    ram->chunk_bytes = wire_get(in, json, "ram-chunk", 1 << 30);
    ram->off = wire_get(in, json, "ram-offset", INT64_MAX);
    int fd = wire_get_fd(in);
    f->lease = wire_get_fd(in);
    for (uint64_t k = 0; !in->bad && k < files; k++) {
        ram->file[ram->file_count++] = wire_get_fd(in);
    }
    int r = 0;
    in->bad = in->bad || !name || !config || ram->chunk_bytes < 4096 || fds != in->count;
    json_array_foreach(disks, i, disk)
    {
        r = r < 0 || in->bad ? r : wire_get_disk(in, disk, f, err);
    }
    if (r == 0 && !in->bad) {
        ram->place_count = ram->len / ram->chunk_bytes + (ram->len % ram->chunk_bytes != 0);
        in->bad = ram->place_count > 1 << 26;
    }
    if (r == 0 && in->bad) {
        r = vr_err(err, -EPROTO, "what the machine says of its fork makes no sense");
    }
    r = r < 0 ? r : wire_get_memory(fd, state_len, at, f, err);
    vr_file_close(fd);
    return r < 0 ? r : vireo_config_load(config, strlen(config), &f->config, err);
}

int vr_fork_unpack(const json_t *json, int *fds, unsigned count, struct vireo_fork **ret_fork,
                   struct vr_error *err)
{
    struct wire_in in = {.fds = fds, .count = count};
    struct vireo_fork *f = vr_zalloc(sizeof(*f));
    int r = f ? 0 : vr_err(err, -ENOMEM, "no memory for a fork");
    if (r == 0) {
        f->lease = -1;
        vr_snap_init(&f->state);
        r = wire_get_all(&in, json, f, err);
    }
    for (unsigned i = in.at; i < count; i++) {
        vr_file_close(fds[i]);
    }
    if (r < 0) {
        vireo_fork_destroy(f);
        return r;
    }
    f->info.name = f->name;
    *ret_fork = f;
    return 0;
}

int vireo_fork_request(const char *machine, const char *dir, struct vireo_fork **ret_fork,
                       struct vr_error *err)
{
    struct vr_client *c;
    json_t *json = NULL, *args = dir ? json_pack("{s:s}", "overlays", dir) : NULL;
    int *fds = vr_zalloc_array(WIRE_FDS, sizeof(int));
    int r = fds ? vr_client_open(machine, VR_CLIENT_MS, &c, err)
                : vr_err(err, -ENOMEM, "no memory for a fork");
    if (r < 0) {
        free(fds);
        json_decref(args);
        return r;
    }
    r = vr_client_ask(c, "x-vireo-fork", args, WIRE_MS, &json, err);
    if (r == 0) {
        unsigned count = vr_client_take_fds(c, fds, WIRE_FDS);
        r = vr_fork_unpack(json, fds, count, ret_fork, err);
        json_decref(json);
    }
    vr_client_close(c);
    free(fds);
    return r;
}
