/* The machine that would run, and why it is as it is. */
#include "board/catalog.h"
#include "board/virt_riscv.h"
#include "control/host.h"
#include "control/query.h"
#include "control/vm.h"

#include <inttypes.h>
#include <stdlib.h>

struct explain_row {
    const char *name;
    uint64_t gpa, len;
    unsigned irq;
};

static int explain_by_gpa(const void *a, const void *b)
{
    uint64_t x = ((const struct explain_row *)a)->gpa, y = ((const struct explain_row *)b)->gpa;
    return x < y ? -1 : x > y;
}

static json_t *explain_map(struct vireo_vm *vm)
{
    enum { ROWS = 64 };
    struct explain_row row[ROWS];
    unsigned count = 0;
    json_t *map = json_array();
    while (count < ROWS && vr_virt_map_row(vr_vm_virt(vm), count, &row[count].name, &row[count].gpa,
                                           &row[count].len, &row[count].irq)) {
        count++;
    }
    qsort(row, count, sizeof(row[0]), explain_by_gpa);
    for (unsigned i = 0; i < count; i++) {
        const struct vr_dev *dev = vr_machine_find_dev(vr_vm_machine(vm), row[i].name);
        json_array_append_new(
            map, json_pack("{s:I, s:I, s:s, s:o, s:s?, s:s?}", "gpa", (json_int_t)row[i].gpa,
                           "len_bytes", (json_int_t)row[i].len, "name", row[i].name, "irq",
                           row[i].irq ? json_integer(row[i].irq) : json_null(), "class",
                           dev ? dev->cls->name : NULL, "help", dev ? dev->cls->help : NULL));
    }
    return map;
}

static json_t *explain_pci(struct vireo_vm *vm)
{
    struct vr_virt_pci row;
    json_t *pci = json_array();
    for (unsigned i = 0; vr_virt_pci_row(vr_vm_virt(vm), i, &row); i++) {
        json_array_append_new(pci, json_pack("{s:s, s:s, s:s, s:s}", "place", row.place, "name",
                                             row.dev->id, "class", row.dev->cls->name, "help",
                                             row.dev->cls->help));
    }
    return pci;
}

/* Every value that was given for @opt, or the default. */
static void explain_setting(const struct vireo_config *config, const struct vr_opt *opt,
                            json_t *settings)
{
    for (unsigned i = 0; i < config->said_count; i++) {
        const struct vr_config_said *said = &config->said[i];
        if (said->opt == opt) {
            json_array_append_new(settings, json_pack("{s:s, s:s, s:b, s:s?}", "key", opt->name,
                                                      "value", said->value, "given",
                                                      said->why == NULL, "why", said->why));
        }
    }
}

json_t *vr_query_explain(const struct vireo_config *config, struct vireo_vm *vm)
{
    const struct vr_catalog_machine *kind = vr_catalog_machine(0);
    json_t *settings = json_array();
    char no_kvm[120];
    vr_host_no_kvm(no_kvm, sizeof(no_kvm));
    for (const struct vr_opt *o = vr_config_opts; o->name; o++) {
        explain_setting(config, o, settings);
    }
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o}", "name",
                     config->name, "machine", "arch", kind->arch, "name", kind->name, "help",
                     kind->help, "engine", vr_machine_vcpu(vr_vm_machine(vm), 0)->ops->engine,
                     "kvm_not_used_because", no_kvm, "firmware",
                     config->firmware ? config->firmware : "built-in SBI", "harts",
                     (int)config->cpus, "memory_bytes", (json_int_t)config->memory_bytes, "map",
                     explain_map(vm), "pci", explain_pci(vm), "settings", settings);
}
