/*
 * An I/O loop: one libuv loop on one thread, where backends live.
 *
 * Backends call their users back on this thread with no locks held. A device's callback takes the
 * device's lock (vr_dev_lock). Everything else reaches the loop by vr_loop_post.
 */
#ifndef VR_CORE_LOOP_H
#define VR_CORE_LOOP_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct vr_det;
struct vr_loop;
struct uv_loop_s;

/* Create; the loop does not run until vr_loop_start (own thread) or vr_loop_turn (tests,
 * embedders). */
int vr_loop_create(struct vr_loop **ret_loop, struct vr_error *err) VR_MUST;
/* Stops the thread, runs posted work, lets handles that are closing finish. Every handle on the
 * loop must have been closed by its backend. NULL is fine. */
void vr_loop_destroy(struct vr_loop *loop);
int vr_loop_start(struct vr_loop *loop, struct vr_error *err) VR_MUST;
/* The same with a thread that runs body(arg), which makes the loop's turns until vr_loop_ending. */
int vr_loop_start_with(struct vr_loop *loop, const char *name, void (*body)(void *), void *arg,
                       struct vr_error *err) VR_MUST;
bool vr_loop_ending(struct vr_loop *loop);
/* One turn on the caller's thread (loop not started, or with such a body): waits at most
 * @timeout_ms (0: poll; -1: for ever). */
void vr_loop_turn(struct vr_loop *loop, int timeout_ms);
/* Run fn(arg) on the loop's thread, in order. Any thread; never fails, never blocks. */
void vr_loop_post(struct vr_loop *loop, void (*fn)(void *), void *arg);
/* Run fn(arg) on the loop's thread and wait for it (runs at once when called on that thread, or
 * when the loop has no thread). No device lock may be held. */
void vr_loop_call(struct vr_loop *loop, void (*fn)(void *), void *arg);
/* Is this the loop's thread? (True for whoever asks while the loop has none.) */
bool vr_loop_here(const struct vr_loop *loop);
/* Does it turn on a thread of its own? */
bool vr_loop_has_thread(const struct vr_loop *loop);
/* There: what was posted, now. */
void vr_loop_run_posted(struct vr_loop *loop);
/* Any thread: a turn that waits ends. */
void vr_loop_wake(struct vr_loop *loop);
/* Calls that were posted so far. Any thread. */
uint64_t vr_loop_posts(struct vr_loop *loop);
/* What the loop's thread used of the host's processors, as vireo_thread_cpu_ns; 0: not started. */
uint64_t vr_loop_cpu_ns(struct vr_loop *loop);
/* What the host calls that thread (vireo_thread_host_id); 0: not started. Any thread. */
uint64_t vr_loop_host_id(const struct vr_loop *loop);
/* The deterministic machine whose loop this is (core/det.h); NULL: none. Set before anybody asks.
 */
void vr_loop_set_det(struct vr_loop *loop, struct vr_det *det);
struct vr_det *vr_loop_det(const struct vr_loop *loop);
struct uv_loop_s *vr_loop_uv(struct vr_loop *loop);

#endif
