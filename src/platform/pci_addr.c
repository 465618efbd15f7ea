/* PCI addresses as text: the short and long forms that lspci and sysfs use. */
#include "vireo/host_pci.h"

#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* 1 to @max_digits hexadecimal digits at *text; *text moves behind them. */
static bool addr_number(const char **text, unsigned max_digits, uint32_t *ret_val)
{
    uint32_t v = 0;
    unsigned n = 0;
    for (; vr_hex_digit(**text) >= 0; (*text)++, n++) {
        if (n == max_digits) {
            return false;
        }
        v = v << 4 | (uint32_t)vr_hex_digit(**text);
    }
    *ret_val = v;
    return n > 0;
}

int vireo_pci_addr_parse(const char *text, struct vireo_pci_addr *ret_addr, struct vr_error *err)
{
    static const char form[] = "a PCI address looks like 0000:03:00.1, 03:00.1 or 03:00";
    const char *at = text;
    uint32_t n[3] = {0}, function = 0;
    unsigned colons = 0;
    for (const char *c = text; *c; c++) {
        colons += *c == ':';
    }
    if (colons != 1 && colons != 2) {
        return vr_err(err, -EINVAL, "'%.40s': %s", text, form);
    }
    for (unsigned i = 2 - colons; i < 3; i++) {
        if (!addr_number(&at, i == 0 ? 8 : 2, &n[i]) || (i < 2 && *at++ != ':')) {
            return vr_err(err, -EINVAL, "'%.40s': %s", text, form);
        }
    }
    if (*at == '.') {
        at++;
        if (!addr_number(&at, 1, &function)) {
            return vr_err(err, -EINVAL, "'%.40s': %s", text, form);
        }
    }
    if (*at) {
        return vr_err(err, -EINVAL, "'%.40s': %s", text, form);
    }
    if (n[2] > 0x1f || function > 7) {
        return vr_err(err, -ERANGE, "'%.40s': a device is 00 to 1f, a function 0 to 7", text);
    }
    *ret_addr = (struct vireo_pci_addr){n[0], (uint8_t)n[1], (uint8_t)n[2], (uint8_t)function};
    return 0;
}

const char *vireo_pci_addr_format(struct vireo_pci_addr addr, char buf[VIREO_PCI_ADDR_SIZE])
{
    snprintf(buf, VIREO_PCI_ADDR_SIZE, "%04x:%02x:%02x.%x", addr.domain, addr.bus & 0xffu,
             addr.device & 0x1fu, addr.function & 7u);
    return buf;
}

int vireo_pci_addr_compare(struct vireo_pci_addr a, struct vireo_pci_addr b)
{
    if (a.domain != b.domain) {
        return a.domain < b.domain ? -1 : 1;
    }
    return (a.bus << 8 | a.device << 3 | a.function) - (b.bus << 8 | b.device << 3 | b.function);
}
