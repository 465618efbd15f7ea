/* What the files of the APLIC share; for nobody else. */
#ifndef VR_DEV_IRQCHIP_APLIC_PRIV_H
#define VR_DEV_IRQCHIP_APLIC_PRIV_H

#include "dev/irqchip/aplic.h"

enum {
    APLIC_NUMBERS = VR_APLIC_SOURCES + 1, /* of array elements: source 0 is none */
    APLIC_WORDS = (APLIC_NUMBERS + 31) / 32,
};

/* domaincfg, 4.5.1 */
#define CFG_FIXED UINT32_C(0x80000000)
#define CFG_IE    UINT32_C(0x100)
#define CFG_DM    UINT32_C(0x4)
/* sourcecfg, 4.5.2 */
enum {
    SOURCE_D = 1 << 10,
    SM_INACTIVE = 0,
    SM_DETACHED,
    SM_EDGE1 = 4,
    SM_EDGE0,
    SM_LEVEL1,
    SM_LEVEL0
};
/* mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh: 4.5.3, 4.5.4 */
enum { MSIADDR_M, MSIADDR_MH, MSIADDR_S, MSIADDR_SH, MSIADDRS };
static const uint32_t msiaddr_mask[MSIADDRS] = {0xffffffff, 0x9f77ffff, 0xffffffff, 0x00700fff};
#define MSIADDR_LOCKED UINT32_C(0x80000000)
/* target and genmsi, 4.5.15, 4.5.16 */
enum { TARGET_HART_SHIFT = 18, TARGET_PRIORITY = 0xff, TARGET_EIID = 0x7ff };
#define TARGET_HART (UINT32_C(0x3fff) << TARGET_HART_SHIFT)

struct aplic {
    struct vr_dev dev;
    uint32_t harts, sources;     /* config */
    bool direct, msi;            /* delivery modes there are */
    uint32_t level[APLIC_WORDS]; /* state, from here on: wires that are high */
    uint32_t pending[APLIC_WORDS], enable[APLIC_WORDS];
    uint32_t target[APLIC_NUMBERS];
    uint16_t sourcecfg[VR_APLIC_DOMAINS * APLIC_NUMBERS];
    bool on[VR_APLIC_DOMAINS];       /* domaincfg.IE */
    bool messages[VR_APLIC_DOMAINS]; /* domaincfg.DM */
    uint32_t genmsi[VR_APLIC_DOMAINS];
    uint32_t msiaddr[MSIADDRS];
    bool delivery[VR_APLIC_DOMAINS * VR_APLIC_HARTS];
    bool force[VR_APLIC_DOMAINS * VR_APLIC_HARTS];
    uint8_t threshold[VR_APLIC_DOMAINS * VR_APLIC_HARTS];
    struct vr_irq out[VR_APLIC_DOMAINS * VR_APLIC_HARTS];
};
#define APLIC(d) ((struct aplic *)(d))

extern const struct vr_field aplic_fields[];
extern const struct vr_reg aplic_m_regs[], aplic_s_regs[];

/* @source's mode in @domain; SM_INACTIVE: it is not active there. */
unsigned aplic_mode(const struct aplic *s, unsigned domain, unsigned source);
/* Is it active there? For any number. */
bool aplic_has(const struct aplic *s, unsigned domain, uint64_t source);
/* The rectified input value of its wire. */
bool aplic_input(const struct aplic *s, unsigned domain, unsigned source);
/* topi, 4.8.1.4: source << 16 | priority. */
uint32_t aplic_top(const struct aplic *s, unsigned domain, unsigned hart);
/* Drive the wire to @hart. */
void aplic_update_hart(struct aplic *s, unsigned domain, unsigned hart);
/* Write @eiid to the interrupt file of @hart at @domain's level: 4.9.1. */
void aplic_send(struct aplic *s, unsigned domain, unsigned hart, unsigned eiid);
/* Something about @source, active in @domain, changed: tell its hart. */
void aplic_deliver(struct aplic *s, unsigned domain, unsigned source);
/* domaincfg.DM becomes @messages, IE @on. */
void aplic_set_mode(struct aplic *s, unsigned domain, bool on, bool messages);
/* sourcecfg is written. */
void aplic_configure(struct aplic *s, unsigned domain, unsigned source, uint32_t val);
/* Software sets or clears the pending bit of an active source, where 4.7 lets it; */
void aplic_set_pending(struct aplic *s, unsigned domain, unsigned source, bool pending);
void aplic_set_enable(struct aplic *s, unsigned domain, unsigned source, bool enable);
/* it claims one. */
void aplic_claim(struct aplic *s, unsigned domain, unsigned source);
/* What is legal to write into the target of an active source. */
uint32_t aplic_target(const struct aplic *s, unsigned domain, uint32_t val);

#endif
