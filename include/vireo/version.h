/* Version of the library: what was compiled against, and what runs. */
#ifndef VIREO_VERSION_H
#define VIREO_VERSION_H

#define VIREO_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* The running library's version, as "MAJOR.MINOR.PATCH". Static storage. */
VIREO_API const char *vireo_version(void);

#ifdef __cplusplus
}
#endif

#endif
