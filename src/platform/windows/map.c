/*
 * Memory by VirtualAlloc and sections (MSDN "Memory Management Functions": VirtualAllocExNuma,
 * VirtualProtect, VirtualQuery, CreateFileMappingW, MapViewOfFileExNuma).
 *
 * What differs from POSIX hosts: a map begins at a multiple of 64 KiB, so a fixed place must, too
 * (a file's offset may be any page: more is mapped, and stands before). A part of a map can be
 * replaced by zeroes only. Memory is always backed (committed), also where that is not asked for. A
 * node is a preference that Windows follows while the node has memory. What a file is mapped for
 * decides how far the protection can be raised later.
 */
#include "platform/windows/map.h"
#include "base/bits.h"
#include "platform/map.h"
#include "platform/windows/win.h"

#include <errno.h>
#include <inttypes.h>

enum { MAP_TRIES = 16 }; /* for a place that another thread may take between two calls */

/* @copy: a file's page that becomes our own when it is written. */
static DWORD map_host_prot(unsigned prot, bool copy)
{
    if (prot & VIREO_PROT_WRITE) {
        return copy ? PAGE_WRITECOPY : PAGE_READWRITE;
    }
    if (prot & VIREO_PROT_EXEC) {
        return prot & VIREO_PROT_READ ? PAGE_EXECUTE_READ : PAGE_EXECUTE;
    }
    return prot & VIREO_PROT_READ ? PAGE_READONLY : PAGE_NOACCESS;
}

/* One allocation or view, which may have parts with different protections. */
struct map_region {
    uint8_t *base;
    size_t len;
    bool is_file, is_copy;
};

/* The region that @hva lies in; false: nothing is there. */
static bool map_region(const void *hva, struct map_region *ret_region)
{
    MEMORY_BASIC_INFORMATION part;
    if (!VirtualQuery(hva, &part, sizeof(part)) || part.State == MEM_FREE) {
        return false;
    }
    struct map_region region = {.base = part.AllocationBase,
                                .is_file = part.Type != MEM_PRIVATE,
                                .is_copy = part.Type != MEM_PRIVATE &&
                                           (part.AllocationProtect & PAGE_WRITECOPY)};
    uint8_t *at = region.base;
    while (VirtualQuery(at, &part, sizeof(part)) && part.State != MEM_FREE &&
           part.AllocationBase == region.base) {
        at += part.RegionSize;
    }
    region.len = (size_t)(at - region.base);
    *ret_region = region;
    return true;
}

static int map_why_not(size_t len, const struct vireo_map_opts *o, DWORD error,
                       struct vr_error *err)
{
    MEMORY_BASIC_INFORMATION part;
    if (o->huge_bytes && error == ERROR_PRIVILEGE_NOT_HELD) {
        return vr_err(err, -EPERM,
                      "map: large pages need the right \"Lock pages in memory\" "
                      "(SeLockMemoryPrivilege): give it to this account in secpol.msc, Local "
                      "Policies, User Rights Assignment, and log on again");
    }
    if (o->huge_bytes && vr_win_errno(error) == -ENOMEM) {
        return vr_err(err, -ENOMEM,
                      "map: %zu bytes in pages of %" PRIu64 " KiB: the host finds no memory in one "
                      "piece for them; ask soon after its start",
                      len, o->huge_bytes >> 10);
    }
    if (o->hva && error == ERROR_INVALID_ADDRESS && VirtualQuery(o->hva, &part, sizeof(part))) {
        return vr_err(err, -EEXIST, "map: something is mapped at %p", o->hva);
    }
    int r = vr_win_errno(error);
    if (r == -EINVAL) { /* beyond what a process can address */
        return vr_err(err, -ENOMEM, "map: %zu bytes are more than there is room for", len);
    }
    return vr_win_err(err, error, "map: %zu bytes", len);
}

static int map_check_place(const struct vireo_map_opts *o, struct vr_error *err)
{
    ULONG highest = 0;
    SIZE_T large = GetLargePageMinimum();
    if ((o->flags & VIREO_MAP_FIXED) && !vr_is_aligned((uintptr_t)o->hva, vr_win_granule())) {
        return vr_err(err, -EINVAL,
                      "map: %p: on Windows maps begin at multiples of %" PRIu64 " KiB", o->hva,
                      vr_win_granule() >> 10);
    }
    if (o->huge_bytes && o->file) {
        return vr_err(err, -ENOTSUP,
                      "map: on Windows large pages are for memory that is not shared");
    }
    if (o->huge_bytes && o->huge_bytes != large) {
        return vr_err(err, -ENOMEM,
                      "map: this host has no large pages of %" PRIu64 " KiB: theirs are of %" PRIu64
                      " KiB",
                      o->huge_bytes >> 10, (uint64_t)large >> 10);
    }
    if (o->node != VIREO_NODE_ANY &&
        (!GetNumaHighestNodeNumber(&highest) || (ULONG)o->node > highest)) {
        return vr_err(err, -ENODEV, "map: memory cannot be bound to node %d: no such node here",
                      o->node);
    }
    return 0;
}

/* ---- Zeroes -------------------------------------------------------------------------------- */

static void *map_alloc(void *at, size_t len, const struct vireo_map_opts *o, DWORD type)
{
    DWORD node = o->node == VIREO_NODE_ANY ? NUMA_NO_PREFERRED_NODE : (DWORD)o->node;
    return VirtualAllocExNuma(GetCurrentProcess(), at, len, type, map_host_prot(o->prot, false),
                              node);
}

/* Zeroes in place of a part of what we allocated. */
static int map_replace(size_t len, const struct vireo_map_opts *o, uint8_t **ret_hva,
                       struct vr_error *err)
{
    struct map_region region;
    if (!map_region(o->hva, &region)) {
        if (!vr_is_aligned((uintptr_t)o->hva, vr_win_granule())) {
            return vr_err(err, -EINVAL, "map: nothing is mapped at %p that could be replaced",
                          o->hva);
        }
        *ret_hva = map_alloc(o->hva, len, o, MEM_RESERVE | MEM_COMMIT);
        return *ret_hva ? 0 : map_why_not(len, o, GetLastError(), err);
    }
    if (region.is_file || o->huge_bytes ||
        !vr_in_range((uintptr_t)o->hva - (uintptr_t)region.base, len, region.len)) {
        return vr_err(err, -ENOTSUP,
                      "map: Windows replaces only parts of one map of plain memory, at %p", o->hva);
    }
    if (!VirtualFree(o->hva, len, MEM_DECOMMIT) || !map_alloc(o->hva, len, o, MEM_COMMIT)) {
        return map_why_not(len, o, GetLastError(), err);
    }
    *ret_hva = o->hva;
    return 0;
}

/* A free place of @len bytes at a multiple of @align; NULL and the last error. */
static void *map_find(size_t len, size_t align)
{
    uint64_t room;
    if (!vr_add_ok(len, align, &room)) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    uint8_t *all = VirtualAlloc(NULL, room, MEM_RESERVE, PAGE_NOACCESS);
    if (!all) {
        return NULL;
    }
    VirtualFree(all, 0, MEM_RELEASE);
    return all + (vr_align_up((uintptr_t)all, align) - (uintptr_t)all);
}

static int map_zeroes(size_t len, const struct vireo_map_opts *o, bool watch, uint8_t **ret_hva,
                      struct vr_error *err)
{
    DWORD type = MEM_RESERVE | MEM_COMMIT |
                 (o->huge_bytes ? MEM_LARGE_PAGES
                  : watch       ? MEM_WRITE_WATCH
                                : 0);
    size_t align =
        o->align_bytes > vr_win_granule() && o->align_bytes > o->huge_bytes ? o->align_bytes : 0;
    if (o->flags & VIREO_MAP_REPLACE) {
        return map_replace(len, o, ret_hva, err);
    }
    if (o->huge_bytes && !vr_win_privilege(L"SeLockMemoryPrivilege")) {
        return map_why_not(len, o, ERROR_PRIVILEGE_NOT_HELD, err);
    }
    uint8_t *hva = NULL;
    for (unsigned i = 0; i < MAP_TRIES && !hva; i++) {
        void *at = align ? map_find(len, align) : o->hva;
        if (align && !at) {
            break;
        }
        hva = map_alloc(at, len, o, type);
        if (!align) {
            break;
        }
    }
    if (!hva) {
        return map_why_not(len, o, GetLastError(), err);
    }
    *ret_hva = hva;
    return 0;
}

/* ---- Files --------------------------------------------------------------------------------- */

/* The section of a file, or another handle to the section that @o->fd is already. */
static int map_section(const struct vireo_map_opts *o, HANDLE *ret_section, DWORD *ret_view,
                       struct vr_error *err)
{
    HANDLE handle = vr_win_handle(o->fd), section = NULL;
    bool shared = o->flags & VIREO_MAP_SHARED, exec = o->prot & VIREO_PROT_EXEC;
    DWORD view = exec ? FILE_MAP_READ | FILE_MAP_EXECUTE : shared ? FILE_MAP_WRITE : FILE_MAP_COPY;
    DWORD prot = exec ? PAGE_EXECUTE_READ : shared ? PAGE_READWRITE : PAGE_WRITECOPY;
    section = CreateFileMappingW(handle, NULL, prot, 0, 0, NULL);
    DWORD error = section ? 0 : GetLastError();
    if (error == ERROR_INVALID_HANDLE &&
        DuplicateHandle(GetCurrentProcess(), handle, GetCurrentProcess(), &section, 0, FALSE,
                        DUPLICATE_SAME_ACCESS)) {
        error = 0; /* no file: a section already */
    }
    if (error == ERROR_ACCESS_DENIED && shared && !(o->prot & VIREO_PROT_WRITE) && !exec) {
        section = CreateFileMappingW(handle, NULL, PAGE_READONLY, 0, 0, NULL);
        error = section ? 0 : GetLastError();
        view = FILE_MAP_READ;
    }
    if (error) {
        return vr_win_err(err, error, "map: the file behind descriptor %d", o->fd);
    }
    *ret_section = section;
    *ret_view = view;
    return 0;
}

static int map_file(size_t len, const struct vireo_map_opts *o, uint8_t **ret_hva,
                    struct vr_error *err)
{
    HANDLE section = NULL;
    DWORD view = 0, old, node = o->node == VIREO_NODE_ANY ? NUMA_NO_PREFERRED_NODE : (DWORD)o->node;
    uint64_t from = vr_align_down(o->file_off, vr_win_granule()), before = o->file_off - from,
             whole;
    if (o->flags & VIREO_MAP_REPLACE) {
        return vr_err(err, -ENOTSUP,
                      "map: Windows puts no file in place of other memory; unmap "
                      "that first");
    }
    if (before && (o->hva || o->align_bytes > vr_win_page())) {
        return vr_err(err, -EINVAL,
                      "map: at a fixed place, a file's offset is a multiple of %" PRIu64
                      " KiB on Windows; it is %" PRIu64,
                      vr_win_granule() >> 10, o->file_off);
    }
    if (!vr_add_ok(len, before, &whole)) {
        return map_why_not(len, o, ERROR_NOT_ENOUGH_MEMORY, err);
    }
    int r = map_section(o, &section, &view, err);
    if (r < 0) {
        return r;
    }
    uint8_t *hva = NULL;
    for (unsigned i = 0; i < MAP_TRIES && !hva; i++) {
        bool find = o->align_bytes > vr_win_granule();
        hva = MapViewOfFileExNuma(section, view, (DWORD)(from >> 32), (DWORD)from, whole,
                                  find ? map_find(whole, o->align_bytes) : o->hva, node);
        if (!find) {
            break;
        }
    }
    DWORD error = GetLastError();
    CloseHandle(section); /* the view keeps it */
    if (!hva) {
        if (error == ERROR_INVALID_ADDRESS) {
            return map_why_not(len, o, error, err);
        }
        return vr_win_err(err, error, "map: %zu bytes at %" PRIu64 " of a file", len, o->file_off);
    }
    hva += before;
    if (!VirtualProtect(hva, len, map_host_prot(o->prot, view == FILE_MAP_COPY), &old)) {
        error = GetLastError();
        UnmapViewOfFile(hva - before);
        return vr_win_err(err, error, "map: protection 0x%x of a file", o->prot);
    }
    *ret_hva = hva;
    return 0;
}

/* ---- All ----------------------------------------------------------------------------------- */

static void map_release(uint8_t *hva, size_t len)
{
    struct map_region region;
    if (!map_region(hva, &region)) {
        return;
    }
    if (region.is_file) {
        UnmapViewOfFile(region.base);
    } else if (region.base == hva && region.len <= vr_align_up(len, vr_win_granule())) {
        VirtualFree(region.base, 0, MEM_RELEASE);
    } else {
        VirtualFree(hva, len, MEM_DECOMMIT); /* it took the place of a part */
    }
}

int vr_win_map(size_t len, const struct vireo_map_opts *opts, bool watch, struct vireo_map *ret_map,
               struct vr_error *err)
{
    uint64_t page = vr_win_page(), whole;
    uint8_t *hva = NULL;
    int r = vr_map_check(len, opts, page, err);
    r = r < 0 ? r : map_check_place(opts, err);
    if (r < 0) {
        return r;
    }
    if (!vr_align_up_ok(len, opts->huge_bytes ? opts->huge_bytes : page, &whole)) {
        return map_why_not(len, opts, ERROR_NOT_ENOUGH_MEMORY, err);
    }
    r = opts->file ? map_file((size_t)whole, opts, &hva, err)
                   : map_zeroes((size_t)whole, opts, watch, &hva, err);
    if (r < 0) {
        return r;
    }
    struct vireo_map map = {
        .hva = hva, .len = (size_t)whole, .page_bytes = opts->huge_bytes ? opts->huge_bytes : page};
    if ((opts->flags & (VIREO_MAP_POPULATE | VIREO_MAP_LOCKED)) && (opts->prot & VIREO_PROT_READ)) {
        if (opts->file) {
            r = vireo_map_advise(&map, 0, map.len, VIREO_ADVICE_WILLNEED, err);
        }
        for (size_t off = 0; off < map.len && !opts->file; off += page) {
            (void)*(volatile uint8_t *)(hva + off);
        }
    }
    if (r == 0 && (opts->flags & VIREO_MAP_LOCKED)) {
        r = vireo_map_lock(&map, 0, map.len, true, err);
    }
    if (r < 0) {
        map_release(hva, map.len);
        return r;
    }
    *ret_map = map;
    return 0;
}

int vireo_map_create(size_t len, const struct vireo_map_opts *opts, struct vireo_map *ret_map,
                     struct vr_error *err)
{
    return vr_win_map(len, opts, false, ret_map, err);
}

void vireo_map_destroy(struct vireo_map *map)
{
    if (map->hva) {
        map_release(map->hva, map->len);
    }
    *map = (struct vireo_map){.hva = NULL};
}

int vireo_map_protect(const struct vireo_map *map, size_t off, size_t len, unsigned prot,
                      struct vr_error *err)
{
    struct map_region region;
    DWORD old;
    int r = vr_map_check_prot(prot, err);
    r = r < 0 ? r : vr_map_check_range(map, off, len, vr_win_page(), err);
    if (r < 0 || len == 0) {
        return r;
    }
    bool there = map_region(map->hva + off, &region);
    if (!VirtualProtect(map->hva + off, len, map_host_prot(prot, there && region.is_copy), &old)) {
        DWORD error = GetLastError();
        if (there && region.is_file) {
            return vr_err(err, -EACCES, "map: protection 0x%x is more than the file was mapped for",
                          prot);
        }
        return vr_win_err(err, error, "map: protection 0x%x", prot);
    }
    return 0;
}
