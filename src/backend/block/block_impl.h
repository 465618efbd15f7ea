/*
 * What the image formats share: requests in flight, and threads for them.
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

/* A request that was counted as in flight goes to the image. */
void vr_blk_begin(struct vr_blk *blk, struct vr_blk_req *req);

/* Limits (limits.c); NULL throttle: there are none. */
int vr_blk_limits_create(struct vr_blk *blk, struct vr_clock *clock,
                         struct vr_blk_throttle **ret_throttle, struct vr_error *err) VR_MUST;
void vr_blk_limits_destroy(struct vr_blk_throttle *throttle); /* nothing is in flight */
void vr_blk_limits_set(struct vr_blk_throttle *throttle, const struct vr_blk_limits *limits);
void vr_blk_limits_get(struct vr_blk_throttle *throttle, struct vr_blk_limits *ret_limits);
bool vr_blk_limits_on(struct vr_blk_throttle *throttle);
/* Has @req to wait? Then it is in line, and goes by vr_blk_begin. */
bool vr_blk_limits_hold(struct vr_blk_throttle *throttle, struct vr_blk_req *req);
/* Nothing waits, from @on until !@on. */
void vr_blk_limits_drain(struct vr_blk_throttle *throttle, bool on);

/* Threads, as vr_pool_create's, that call the format's run() and complete the request with what it
 * returns. */
int vr_blk_pool_create(struct vr_blk *blk, unsigned max, struct vr_pool **ret_pool,
                       struct vr_error *err) VR_MUST;

#endif
