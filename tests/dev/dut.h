/* Devices under test that are driven, copied and compared. */
#ifndef VR_TEST_DUT_H
#define VR_TEST_DUT_H

#include "classes.h"

void dut_init(struct dut *dut, const struct vr_dev_class *cls);
/* With the clock at @now_ns; with a host end plugged in or not; set up by its driver or not. */
void dut_init_at(struct dut *dut, const struct vr_dev_class *cls, uint64_t now_ns, bool plugged,
                 bool setup);
void dut_fini(struct dut *dut);
void dut_quiesce(struct dut *dut);

/* The start of a test's random numbers: its own, changed by VIREO_TEST_SEED, so that it can be run
 * many times over. */
uint64_t dut_seed(uint64_t seed);
/* @count random accesses, events outside and passing time, all chosen by @seed. */
void dut_storm(struct dut *dut, uint64_t *seed, unsigned count);
/* Drain and save. */
void dut_save(struct dut *dut, struct vr_snap *ret_snap);
/* Make @to what @from is: time, memory, and state by way of a snapshot. */
void dut_copy(struct dut *from, struct dut *to);
void dut_copy_outside(struct dut *from, struct dut *to); /* memory and host end */

/* State, memory and wires are equal, or the test fails and says what differs. */
void dut_same(struct dut *a, struct dut *b, const char *when);
/* The same @count things are done to both, with the same results, and they are the same in the end.
 */
void dut_behave_same(struct dut *a, struct dut *b, uint64_t *seed, unsigned count);

#endif
