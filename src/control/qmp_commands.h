/* Commands of the control protocol that ask (qmp_query.c), for the table in qmp_commands.c. */
#ifndef VR_CONTROL_QMP_COMMANDS_H
#define VR_CONTROL_QMP_COMMANDS_H

#include "control/qmp.h"

/* @text from outside, which may be no UTF-8, as JSON; */
json_t *vr_qmp_text(const char *text);
/* and a number: JSON's are signed here. */
json_t *vr_qmp_number(uint64_t value);
/* The text that argument @key is; NULL: it is not there, or is none. */
const char *vr_qmp_arg(const struct vr_qmp_call *call, const char *key);
/* @ret, which is taken, is the answer; NULL: there was no memory for it. */
int vr_qmp_done(struct vr_qmp_call *call, json_t *ret, struct vr_error *err) VR_MUST;

int vr_qmp_query_version(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_commands(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_schema(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_status(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_name(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_uuid(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_target(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_machines(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_current_machine(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_migrate_capabilities(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_kvm(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_cpus(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_memory(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_block(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_named_nodes(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_iothreads(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_blockstats(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_chardev(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_pci(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_balloon(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_qom_list(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_qom_get(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_jobs(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_device_add(struct vr_qmp_call *call, struct vr_error *err); /* qmp_devices.c */
int vr_qmp_device_del(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_netdev_add(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_netdev_del(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_blockdev_add(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_blockdev_del(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_chardev_add(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_chardev_remove(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_devices(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_x_device_add(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_machine(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_stats(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_hash(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_det(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_set_link(struct vr_qmp_call *call, struct vr_error *err); /* qmp_limits.c */
int vr_qmp_set_io_throttle(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_x_limits(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_past_events(struct vr_qmp_call *call, struct vr_error *err);

/* Snapshots and jobs (qmp_snapshot.c). */
int vr_qmp_snapshot_save(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_snapshot_load(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_snapshot_delete(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_job_dismiss(struct vr_qmp_call *call, struct vr_error *err);

/* qmp_migrate.c */
int vr_qmp_migrate(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_migrate_cancel(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_migrate(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_migrate_set(struct vr_qmp_call *call, struct vr_error *err);
int vr_qmp_query_migrate_parameters(struct vr_qmp_call *call, struct vr_error *err);

#endif
