/* Answers as JSON values, for the files that print them. */
#ifndef VR_CLI_JSON_H
#define VR_CLI_JSON_H

#include "cli/cli.h"
#include <jansson.h>

/* Print @json (taken; NULL: no memory) as it is with --json, else by @text. An exit code. */
int cli_json_print(const struct cli *cli, json_t *json, void (*text)(const json_t *json));
const char *cli_json_str(const json_t *object, const char *key); /* "": there is none */
json_int_t cli_json_int(const json_t *object, const char *key);

#endif
