/* The RISC-V extensions that the engine implements, one line each: RV_EXT(id, name in a device
 * tree). The order is the canonical order of an ISA string. */
#ifndef VR_CPU_RISCV_EXT_H
#define VR_CPU_RISCV_EXT_H

/* clang-format off */
#define RV_EXTENSIONS(X) \
    X(i, "i") X(m, "m") X(a, "a") X(f, "f") X(d, "d") X(c, "c") \
    X(zicbom, "zicbom") X(zicboz, "zicboz") X(zicntr, "zicntr") X(zicond, "zicond") \
    X(zicsr, "zicsr") X(zifencei, "zifencei") X(zihintntl, "zihintntl") \
    X(zihintpause, "zihintpause") X(zihpm, "zihpm") X(zimop, "zimop") X(zaamo, "zaamo") \
    X(zabha, "zabha") X(zacas, "zacas") X(zalrsc, "zalrsc") X(zawrs, "zawrs") X(zfa, "zfa") \
    X(zfh, "zfh") X(zfhmin, "zfhmin") X(zca, "zca") X(zcb, "zcb") X(zcd, "zcd") \
    X(zcmop, "zcmop") X(zba, "zba") X(zbb, "zbb") X(zbc, "zbc") X(zbs, "zbs") X(zkr, "zkr") \
    X(smaia, "smaia") X(smstateen, "smstateen") X(ssaia, "ssaia") X(ssstateen, "ssstateen") \
    X(sstc, "sstc") X(svadu, "svadu") X(svade, "svade") X(svinval, "svinval") \
    X(svnapot, "svnapot") X(svpbmt, "svpbmt")
/* clang-format on */

#define RV_EXT_ENUM(id, name) RV_EXT_##id,
enum rv_ext { RV_EXTENSIONS(RV_EXT_ENUM) RV_EXT_COUNT };
#undef RV_EXT_ENUM
_Static_assert(RV_EXT_COUNT <= 56, "struct rv_config holds one bit each; snapshots add a byte");
#define RV_HAS(config, id) ((config)->ext >> RV_EXT_##id & 1)

#endif
