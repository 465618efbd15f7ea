/* Names of what VFIO deals with, on every host. */
#include "base/bits.h"
#include "vireo/host_manager.h"

const char *vireo_vfio_way_name(enum vireo_vfio_way way)
{
    static const char *const names[] = {"auto", "group", "iommufd"};
    return (unsigned)way < VR_COUNT(names) ? names[way] : "auto";
}

const char *vireo_vfio_region_name(unsigned index)
{
    static const char *const names[] = {"BAR 0", "BAR 1",      "BAR 2",         "BAR 3", "BAR 4",
                                        "BAR 5", "option ROM", "configuration", "VGA"};
    return index < VR_COUNT(names) ? names[index] : "own";
}

const char *vireo_vfio_irq_name(enum vireo_vfio_irq_kind kind)
{
    static const char *const names[] = {"INTx", "MSI", "MSI-X", "error", "request"};
    return (unsigned)kind < VR_COUNT(names) ? names[kind] : "unknown";
}

const char *vireo_manager_state_name(enum vireo_manager_state state)
{
    static const char *const names[] = {"free",     "host",   "bound", "used",
                                        "attached", "wanted", "gone"};
    return (unsigned)state < VR_COUNT(names) ? names[state] : "gone";
}
