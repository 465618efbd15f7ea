/* Version of the library: what was compiled against, and what runs. */
#ifndef VIREO_VERSION_H
#define VIREO_VERSION_H

#if !defined(_WIN32)
#define VIREO_API __attribute__((visibility("default")))
#elif defined(VIREO_BUILDING) /* the library itself */
#define VIREO_API __declspec(dllexport)
#else
#define VIREO_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The running library's version, as "MAJOR.MINOR.PATCH". Static storage. */
VIREO_API const char *vireo_version(void);

#ifdef __cplusplus
}
#endif

#endif
