/*
 * Options, described once: from a table of rows come the parser, the library's configuration keys,
 * help, man page, shell completion, the nearest match in messages, and `--explain`.
 */
#ifndef VR_CONTROL_OPTIONS_H
#define VR_CONTROL_OPTIONS_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vr_opt_kind {
    VR_OPT_FLAG,   /* bool */
    VR_OPT_TEXT,   /* char *, owned by the target */
    VR_OPT_FILE,   /* the same; completion offers files */
    VR_OPT_NUMBER, /* unsigned */
    VR_OPT_SIZE,   /* uint64_t, bytes */
};

/* A key of a compound value "FIRST,key=value,flag". */
struct vr_opt_key {
    const char *name;
    const char *value; /* what stands for its value in help; NULL: a flag */
    const char *help;
};

struct vr_opt {
    const char *name; /* long option, and key of vireo_config_set */
    char letter;      /* short option; 0: none */
    enum vr_opt_kind kind;
    const char *value; /* what stands for its value in help: "PATH"; NULL: a flag */
    const char *bare;  /* the value when none follows with "="; NULL: one must follow */
    const char *def, *cmd_def, *why; /* the library's default, the command's where it differs, and
                                        the reason; NULL def: none */
    const char *help, *group;
    const char *words; /* values that completion offers, blanks between; of a FILE, those that name
                          no file; may be NULL */
    const struct vr_opt_key *keys; /* of a compound value, until a NULL name; or NULL */
    const char *cls;               /* a device class whose options are keys too; or NULL */
    bool repeat;                   /* each one adds */
    bool once;                     /* about how it starts, this time: not saved */
    bool host;                     /* how this host runs it: does not come with a machine from
                                      another process */
    bool alone;                    /* two machines cannot both have it: a clone begins without */
    uint64_t min, max;             /* NUMBER, SIZE: the range; max 0: no bound */
    uint32_t offset;               /* in the target; not used with apply */
    /* Compound values and other special ones; NULL: stored at offset by kind. */
    int (*apply)(void *target, const struct vr_opt *opt, const char *value, struct vr_error *err);
};
#define VR_OPT_END   \
    {                \
        .name = NULL \
    }

const struct vr_opt *vr_opt_find(const struct vr_opt *table, const char *name);
const struct vr_opt *vr_opt_letter(const struct vr_opt *table, char letter);
/* Check and store @value (flags: on/off) into @target. The message does not name the option: the
 * caller does. -EINVAL, -ERANGE, -ENOMEM. */
int vr_opt_apply(const struct vr_opt *opt, void *target, const char *value,
                 struct vr_error *err) VR_MUST;
/* Free the texts that @target owns by rows of @table; those of rows with an apply are theirs. */
void vr_opt_free(const struct vr_opt *table, void *target);

/*
 * Compound values: cut the next piece off *text, which moves on; ",," stands for a comma. The piece
 * is *ret_key, or "key=value" cut in two (*ret_value NULL: no "="). Both are in one allocation that
 * begins at *ret_key and is the caller's. 1: there is one; 0: the end; -ENOMEM.
 */
int vr_opt_piece(const char **text, char **ret_key, char **ret_value, struct vr_error *err) VR_MUST;

#endif
