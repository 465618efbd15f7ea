/*
 * What the image formats share: the account of requests in flight, and a pool of worker threads.
 *
 * A format embeds struct vr_blk first, calls vr_blk_init when it is open, and completes each
 * submitted request by vr_blk_complete, from any thread, once.
 */
#ifndef VR_BACKEND_BLOCK_IMPL_H
#define VR_BACKEND_BLOCK_IMPL_H

#include "backend/block/block.h"

/* Fill ops, path and flight; the rest is the caller's. */
int vr_blk_init(struct vr_blk *blk, const struct vr_blk_ops *ops, const char *path,
                struct vr_loop *loop, struct vr_error *err) VR_MUST;
/* Undo vr_blk_init with nothing in flight; every format's close ends with it. */
void vr_blk_fini(struct vr_blk *blk);
void vr_blk_complete(struct vr_blk *blk, struct vr_blk_req *req, int result);

/* Up to @max threads that call run(blk, req) and complete the request with what it returns. The
 * first starts at once, the others when requests wait. */
struct vr_blk_pool;
int vr_blk_pool_create(struct vr_blk *blk, unsigned max,
                       int (*run)(struct vr_blk *blk, struct vr_blk_req *req),
                       struct vr_blk_pool **ret_pool, struct vr_error *err) VR_MUST;
void vr_blk_pool_submit(struct vr_blk_pool *pool, struct vr_blk_req *req);
void vr_blk_pool_destroy(struct vr_blk_pool *pool); /* nothing is queued; NULL is fine */

#endif
