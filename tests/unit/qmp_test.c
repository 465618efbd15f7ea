/* The control protocol apart from sockets: framing, negotiation, errors, order, and that replies
 * have the shape that the tables promise. The machine is not started, so that its loop turns only
 * when a test waits. */
#include "vm_guest.h"

#include "control/qmp.h"
#include "control/qmp_frame.h"
#include "control/vm_priv.h"

#include <errno.h>

/* A session and what it has sent that was not looked at yet. */
struct talk {
    struct place place;
    struct vireo_vm *vm;
    struct vr_qmp *qmp;
    struct vr_qmp_session *session;
    char *text; /* owned */
    size_t len;
    unsigned ready;
    bool broken;
};

static void talk_send(void *opaque, const char *text, size_t len)
{
    struct talk *t = opaque;
    t->text = realloc(t->text, t->len + len + 1);
    assert_non_null(t->text);
    memcpy(t->text + t->len, text, len + 1);
    t->len += len;
}

static void talk_ready(void *opaque)
{
    ((struct talk *)opaque)->ready++;
}

static void talk_broken(void *opaque)
{
    ((struct talk *)opaque)->broken = true;
}

/* The next line as JSON, which is the caller's. */
static json_t *talk_hear(struct talk *t)
{
    json_error_t err;
    char *end = t->len ? strstr(t->text, "\r\n") : NULL;
    if (!end) {
        fail_msg("nothing was sent");
    }
    size_t len = (size_t)(end - t->text);
    json_t *json = json_loadb(t->text, len, 0, &err);
    if (!json) {
        fail_msg("no JSON (%s): %.*s", err.text, (int)len, t->text);
    }
    memmove(t->text, end + 2, t->len - len - 1);
    t->len -= len + 2;
    return json;
}

/* Give it @len bytes, as long as it takes them. */
static size_t talk_give(struct talk *t, const char *buf, size_t len)
{
    size_t at = 0;
    while (at < len && vr_qmp_takes(t->session)) {
        at += vr_qmp_input(t->session, buf + at, len - at);
    }
    return at;
}

static void talk_say(struct talk *t, const char *text)
{
    for (size_t at = 0, len = strlen(text); at < len;) {
        at += talk_give(t, text + at, len - at);
        vr_qmp_drain(t->qmp); /* the loop has no thread: what is slow is done from here */
    }
}

/* The member "return" of what it answers to @text; borrowed from *ret_json. */
static json_t *talk_ask(struct talk *t, const char *text, json_t **ret_json)
{
    talk_say(t, text);
    *ret_json = talk_hear(t);
    json_t *ret = json_object_get(*ret_json, "return");
    if (!ret) {
        char *got = json_dumps(*ret_json, 0);
        fail_msg("%s: %s", text, got);
    }
    return ret;
}

static void talk_refused(struct talk *t, const char *text, const char *cls, const char *desc)
{
    talk_say(t, text);
    json_t *json = talk_hear(t);
    const json_t *error = json_object_get(json, "error");
    const char *got = json_string_value(json_object_get(error, "desc"));
    if (!got || !strstr(got, desc)) {
        fail_msg("%.60s: expected '%s', got '%s'", text, desc, got ? got : "no error");
    }
    assert_string_equal(json_string_value(json_object_get(error, "class")), cls);
    json_decref(json);
}

static void talk_begin(struct talk *t, bool negotiate)
{
    struct vr_error err;
    json_t *json;
    *t = (struct talk){.len = 0};
    place_program(&t->place, idle, VR_COUNT(idle));
    struct vireo_config *config = config_for(t->place.path);
    assert_int_equal(vireo_config_set(config, "name", "box", &err), 0);
    assert_int_equal(vireo_config_set(config, "cpus", "2", &err), 0);
    assert_int_equal(vireo_config_set(config, "virtio-console", "mem", &err), 0);
    assert_int_equal(vireo_config_set(config, "balloon", "on", &err), 0);
    /* Any file is a disk. */
    assert_int_equal(truncate(t->place.path, 4096), 0);
    assert_int_equal(vireo_config_set(config, "disk", t->place.path, &err), 0);
    assert_int_equal(vireo_vm_create(config, &t->vm, &err), 0);
    vireo_config_destroy(config);
    assert_int_equal(vr_qmp_create(t->vm, &t->qmp, &err), 0);
    const struct vr_qmp_io io = {
        .send = talk_send, .ready = talk_ready, .broken = talk_broken, .opaque = t};
    assert_int_equal(vr_qmp_open(t->qmp, &io, &t->session, &err), 0);
    json = talk_hear(t);
    const json_t *qmp = json_object_get(json, "QMP");
    assert_true(json_is_object(json_object_get(json_object_get(qmp, "version"), "qemu")));
    assert_true(json_is_array(json_object_get(qmp, "capabilities")));
    json_decref(json);
    if (negotiate) {
        (void)talk_ask(t, "{\"execute\": \"qmp_capabilities\"}", &json);
        json_decref(json);
    }
}

static void talk_end(struct talk *t)
{
    assert_false(t->broken);
    vr_qmp_close(t->session);
    vr_qmp_drain(t->qmp);
    vr_qmp_destroy(t->qmp);
    vireo_vm_destroy(t->vm);
    free(t->text);
    place_remove(&t->place);
}

static void test_negotiation(void **state)
{
    struct talk t;
    json_t *json;
    (void)state;
    talk_begin(&t, false);
    talk_refused(&t, "{\"execute\": \"query-status\"}", "CommandNotFound",
                 "Expecting capabilities negotiation");
    talk_refused(&t, "{\"execute\": \"no-such\"}", "CommandNotFound",
                 "Expecting capabilities negotiation");
    talk_refused(&t, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"fly\"]}}",
                 "GenericError", "does not accept value 'fly'");
    talk_refused(&t, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": 1}}",
                 "GenericError", "expected: array");
    const struct vireo_event event = {.name = "STOP", .data = ""};
    vr_qmp_event(t.session, &event); /* too early */
    assert_int_equal(t.len, 0);
    (void)talk_ask(&t, "{\"execute\": \"qmp_capabilities\", \"id\": 1}", &json);
    json_decref(json);
    talk_refused(&t, "{\"execute\": \"qmp_capabilities\"}", "CommandNotFound", "already complete");
    talk_refused(&t, "{\"execute\": \"no-such\"}", "CommandNotFound",
                 "The command no-such has not been found");
    /* Not negotiated: exec-oob is no member. */
    talk_refused(&t, "{\"exec-oob\": \"query-status\"}", "GenericError", "'exec-oob'");
    vr_qmp_event(t.session, &event);
    json = talk_hear(&t);
    assert_string_equal(json_string_value(json_object_get(json, "event")), "STOP");
    assert_null(json_object_get(json, "data"));
    json_decref(json);
    talk_end(&t);
}

static void test_ids(void **state)
{
    static const char *const ids[] = {"1",    "\"two\"", "{\"a\": [1, 2]}",          "null", "true",
                                      "-1.5", "[]",      "\"\\u00e9\\ud83d\\ude00\""};
    struct talk t;
    char text[160];
    (void)state;
    talk_begin(&t, true);
    for (unsigned i = 0; i < VR_COUNT(ids); i++) {
        for (unsigned good = 0; good < 2; good++) {
            snprintf(text, sizeof(text), "{\"execute\": \"%s\", \"id\": %s}",
                     good ? "query-status" : "nothing", ids[i]);
            talk_say(&t, text);
            json_t *json = talk_hear(&t), *want = json_loads(ids[i], JSON_DECODE_ANY, NULL);
            assert_true(json_equal(json_object_get(json, "id"), want));
            assert_non_null(json_object_get(json, good ? "return" : "error"));
            json_decref(json);
            json_decref(want);
        }
    }
    talk_end(&t);
}

static void test_framing(void **state)
{
    static const char two[] = " {\"execute\": \"query-name\", \"id\": \"}{\\\"[\"}\n\n"
                              "{\"execute\":\"query-status\",\"id\":2}{\"execute\":\"query-kvm\"}";
    struct talk t;
    (void)state;
    talk_begin(&t, true);
    /* However the stream is cut. */
    for (size_t cut = 1; cut < sizeof(two) - 1; cut++) {
        for (size_t at = 0; at < sizeof(two) - 1; at += cut) {
            size_t len = sizeof(two) - 1 - at < cut ? sizeof(two) - 1 - at : cut;
            assert_int_equal(talk_give(&t, two + at, len), len);
        }
        json_t *a = talk_hear(&t), *b = talk_hear(&t), *c = talk_hear(&t);
        assert_string_equal(json_string_value(json_object_get(a, "id")), "}{\"[");
        assert_int_equal(json_integer_value(json_object_get(b, "id")), 2);
        assert_non_null(json_object_get(c, "return"));
        assert_int_equal(t.len, 0);
        json_decref(a);
        json_decref(b);
        json_decref(c);
    }
    talk_end(&t);
}

static void test_damaged(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"hello\n", "expected an object"},
        {"\"execute\"\n", "expected an object"},
        {"}\n", "expected an object"},
        {"[1, 2]\n", "must be a JSON object"},
        {"{]\n", "JSON parse error"},
        {"{\"execute\": \"query-status\", \"execute\": \"quit\"}\n", "duplicate"},
        {"{\"execute\": \"query-status\", \"id\": 99999999999999999999}\n", "JSON parse error"},
        {"{\"execute\": \"query\\u0000status\"}\n", "JSON parse error"},
        {"{\"execute\": \"\xff\xfe\"}\n", "JSON parse error"},
        {"{}\n", "lacks member 'execute'"},
        {"{\"execute\": 7}\n", "must be a string"},
        {"{\"execute\": \"stop\", \"arguments\": []}\n", "must be an object"},
        {"{\"execute\": \"stop\", \"arguments\": null}\n", "must be an object"},
        {"{\"execute\": \"stop\", \"arguments\": {\"now\": 1}}\n", "Parameter 'now' is unexpected"},
        {"{\"execute\": \"stop\", \"control\": 1}\n", "'control' is unexpected"},
        {"{\"execute\": \"x-vireo-events\", \"arguments\": {\"after\": \"1\"}}\n",
         "Invalid parameter type for 'after', expected: int"},
        {"{\"execute\": \"x-vireo-events\", \"arguments\": {\"after\": 1.0}}\n", "expected: int"},
        {"{\"execute\": \"stop\"}\n", "is stopped"},
        {"{\"execute\": \"cont\"}\n", "is stopped"},
        {"{\"execute\": \"system_reset\"}\n", "is stopped"},
        {"{\"execute\": \"system_powerdown\"}\n", "is stopped"},
        {"{\"execute\": \"balloon\"}\n", "Parameter 'value' is missing"},
        {"{\"execute\": \"balloon\", \"arguments\": {\"value\": -1}}\n", "expects a size"},
    };
    struct talk t;
    json_t *json;
    (void)state;
    talk_begin(&t, true);
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        talk_refused(&t, rows[i].text, "GenericError", rows[i].says);
        assert_int_equal(t.len, 0); /* once */
        (void)talk_ask(&t, "{\"execute\": \"query-status\"}\n", &json);
        json_decref(json);
    }
    talk_end(&t);
}

/* Too deep and too long are refused without the memory that they ask for. */
static void test_bounds(void **state)
{
    struct vr_qmp_frame f = {.len = 0};
    const char *why = NULL;
    size_t used;
    struct talk t;
    json_t *json;
    (void)state;
    for (unsigned i = 0; i < VR_QMP_DEPTH_MAX; i++) {
        assert_int_equal(vr_qmp_frame_feed(&f, "[", 1, &used, &why), VR_QMP_MORE);
    }
    assert_int_equal(vr_qmp_frame_feed(&f, "[[[\n{}", 6, &used, &why), VR_QMP_BAD);
    vr_qmp_frame_next(&f);
    assert_int_equal(vr_qmp_frame_feed(&f, "[[\n{}x", 6, &used, &why), VR_QMP_MESSAGE);
    assert_int_equal(used, 5);
    assert_int_equal(f.len, 2);
    vr_qmp_frame_next(&f);
    size_t fed = 1;
    assert_int_equal(vr_qmp_frame_feed(&f, "{", 1, &used, &why), VR_QMP_MORE);
    enum vr_qmp_framed what;
    while ((what = vr_qmp_frame_feed(&f, "\"aaaaaaaaaaaaa\"", 15, &used, &why)) == VR_QMP_MORE) {
        fed += used;
    }
    assert_int_equal(what, VR_QMP_BAD);
    assert_in_range(fed, VR_QMP_MESSAGE_MAX - 16, VR_QMP_MESSAGE_MAX);
    assert_true(f.cap <= VR_QMP_MESSAGE_MAX);
    vr_qmp_frame_next(&f);
    assert_int_equal(f.cap, 0); /* not kept */
    vr_qmp_frame_fini(&f);
    talk_begin(&t, true);
    char *deep = malloc(VR_QMP_MESSAGE_MAX);
    assert_non_null(deep);
    memset(deep, '[', VR_QMP_MESSAGE_MAX);
    assert_int_equal(talk_give(&t, deep, VR_QMP_MESSAGE_MAX), VR_QMP_MESSAGE_MAX);
    free(deep);
    talk_refused(&t, "\n", "GenericError", "64 brackets");
    (void)talk_ask(&t, "{\"execute\": \"query-status\"}\n", &json);
    json_decref(json);
    talk_end(&t);
}

/* ---- Replies have the shape that is promised ---- */

static void fits(const char *where, const char *type, bool list, const json_t *value)
{
    struct vr_error err;
    char members[80];
    size_t i;
    json_t *one;
    if (list) {
        assert_true(json_is_array(value));
        json_array_foreach((json_t *)value, i, one)
        {
            fits(where, type, false, one);
        }
        return;
    }
    snprintf(members, sizeof(members), "it:%s", type);
    json_t *args = json_pack("{s:O}", "it", value);
    if (vr_qmp_check(members, args, &err) < 0) {
        fail_msg("%s: %s", where, err.msg);
    }
    json_decref(args);
    /* What SchemaInfo has besides depends on its meta-type. */
    for (const struct vr_qmp_type *t = vr_qmp_types; t->name; t++) {
        if (strcmp(t->name, type) != 0 || !t->members || strcmp(type, "SchemaInfo") == 0) {
            continue;
        }
        if (vr_qmp_check(t->members, value, &err) < 0) {
            fail_msg("%s: %s: %s", where, type, err.msg);
        }
        struct vr_qmp_member m;
        for (const char *at = t->members; vr_qmp_next_member(&at, &m);) {
            const json_t *v = json_object_get(value, m.name);
            if (v) {
                fits(where, m.type, m.list, v);
            }
        }
    }
}

static void test_shapes(void **state)
{
    struct talk t;
    char text[160];
    unsigned asked = 0;
    (void)state;
    talk_begin(&t, true);
    for (const struct vr_qmp_command *c = vr_qmp_commands; c->name; c++) {
        json_t *json;
        assert_true(c->help && *c->help && c->run);
        const char *args = c->args;
        struct vr_qmp_member need = {.optional = true};
        while (need.optional && vr_qmp_next_member(&args, &need)) {
        }
        bool forks = strcmp(c->name, "x-vireo-fork") == 0; /* tests/unit/fork has that */
        if (!c->ret || !need.optional ||
            forks) { /* tests/cli/control.py has those with arguments */
            continue;
        }
        snprintf(text, sizeof(text), "{\"execute\": \"%s\"}", c->name);
        json_t *ret = talk_ask(&t, text, &json);
        size_t len = strlen(c->ret);
        snprintf(text, sizeof(text), "%.*s", (int)(len - (*c->ret == '[' ? 2 : 0)),
                 c->ret + (*c->ret == '['));
        fits(c->name, text, *c->ret == '[', ret);
        json_decref(json);
        asked++;
    }
    assert_true(asked > 15);
    talk_end(&t);
}

/* ---- Commands of the program's own ---- */

static int own_sum(void *opaque, const char *arguments, char *ret_answer, size_t size,
                   struct vr_error *err)
{
    json_t *args = json_loads(arguments, 0, NULL);
    const json_t *a = json_object_get(args, "a"), *b = json_object_get(args, "b");
    assert_true(json_is_object(args));
    ++*(unsigned *)opaque;
    int r = json_is_integer(a) ? 0 : vr_err(err, -EINVAL, "a is missing");
    if (r == 0 && json_is_integer(b)) {
        snprintf(ret_answer, size, "%lld",
                 (long long)(json_integer_value(a) + json_integer_value(b)));
    } else if (r == 0 && json_is_string(b)) {
        memset(ret_answer, *json_string_value(b), size); /* no end, and no JSON */
    }
    json_decref(args);
    return r;
}

static void test_own(void **state)
{
    static const char *const bad[] = {"acme", "x-", "x-vireo-sum", "X-sum", "x-Sum", "x-a b"};
    struct talk t;
    struct vr_error err;
    json_t *json, *one;
    unsigned calls = 0;
    size_t i;
    char name[32];
    bool found = false;
    (void)state;
    talk_begin(&t, true);
    for (i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(vireo_vm_on_command(t.vm, bad[i], "", own_sum, &calls, &err), -EINVAL);
    }
    assert_int_equal(vireo_vm_on_command(t.vm, "x-acme-sum", "adds", own_sum, &calls, &err), 0);
    assert_int_equal(vireo_vm_on_command(t.vm, "x-acme-sum", "adds", own_sum, &calls, &err),
                     -EEXIST);
    const json_t *list = talk_ask(&t, "{\"execute\": \"query-commands\"}", &json);
    json_array_foreach(list, i, one)
    {
        found |= strcmp(json_string_value(json_object_get(one, "name")), "x-acme-sum") == 0;
    }
    assert_true(found);
    json_decref(json);
    const json_t *sum =
        talk_ask(&t, "{\"execute\": \"x-acme-sum\", \"arguments\": {\"a\": 2, \"b\": 3}}", &json);
    assert_int_equal(json_integer_value(sum), 5);
    json_decref(json);
    sum = talk_ask(&t, "{\"execute\": \"x-acme-sum\", \"arguments\": {\"a\": 2}}", &json);
    assert_true(json_is_object(sum) && json_object_size(sum) == 0);
    json_decref(json);
    talk_refused(&t, "{\"execute\": \"x-acme-sum\"}", "GenericError", "x-acme-sum: a is missing");
    talk_refused(&t, "{\"execute\": \"x-acme-sum\", \"arguments\": {\"a\": 2, \"b\": \"x\"}}",
                 "GenericError", "what the program answers is no JSON");
    assert_int_equal(calls, 4);
    for (i = 1; i < 64; i++) {
        snprintf(name, sizeof(name), "x-%zu", i);
        assert_int_equal(vireo_vm_on_command(t.vm, name, "", own_sum, &calls, &err), 0);
    }
    assert_int_equal(vireo_vm_on_command(t.vm, "x-more", "", own_sum, &calls, &err), -E2BIG);
    assert_int_equal(vireo_vm_start(t.vm, &err), 0);
    assert_int_equal(vireo_vm_on_command(t.vm, "x-late", "", own_sum, &calls, &err), -EBUSY);
    talk_end(&t);
}

/* Every type that is named is there, once. */
static void test_schema(void **state)
{
    struct talk t;
    struct vr_error err;
    unsigned calls = 0;
    talk_begin(&t, true);
    assert_int_equal(vireo_vm_on_command(t.vm, "x-acme", "", own_sum, &calls, &err), 0);
    json_t *list = vr_qmp_schema(t.vm), *names = json_object(), *info, *m;
    size_t i, k;
    (void)state;
    assert_non_null(list);
    json_array_foreach(list, i, info)
    {
        const char *name = json_string_value(json_object_get(info, "name"));
        const char *meta = json_string_value(json_object_get(info, "meta-type"));
        assert_non_null(name);
        char key[96];
        bool type = strcmp(meta, "command") != 0 && strcmp(meta, "event") != 0;
        snprintf(key, sizeof(key), "%s%s", type ? "" : "!", name);
        if (json_object_get(names, key)) {
            fail_msg("%s is there twice", name);
        }
        json_object_set(names, key, info);
    }
    json_array_foreach(list, i, info)
    {
        static const char *const refs[] = {"arg-type", "ret-type", "element-type"};
        for (unsigned r = 0; r < VR_COUNT(refs); r++) {
            const char *ref = json_string_value(json_object_get(info, refs[r]));
            if (ref && !json_object_get(names, ref)) {
                fail_msg("no type %s", ref);
            }
        }
        json_array_foreach(json_object_get(info, "members"), k, m)
        {
            const char *ref = json_string_value(json_object_get(m, "type"));
            if (ref && !json_object_get(names, ref)) {
                fail_msg("no type %s", ref);
            }
        }
    }
    json_decref(names);
    json_decref(list);
    talk_end(&t);
}

/* Slow commands keep the others waiting, but with oob. */
static void test_order(void **state)
{
    struct talk t;
    json_t *json;
    static const char pair[] = "{\"execute\": \"stop\", \"id\": 1}{\"execute\": \"query-name\", "
                               "\"id\": 2}";
    (void)state;
    talk_begin(&t, true);
    size_t first = talk_give(&t, pair, sizeof(pair) - 1);
    assert_true(first < sizeof(pair) - 1);
    assert_int_equal(t.len, 0);
    vr_qmp_drain(t.qmp);
    assert_int_equal(t.ready, 1);
    json = talk_hear(&t);
    assert_int_equal(json_integer_value(json_object_get(json, "id")), 1);
    json_decref(json);
    assert_int_equal(talk_give(&t, pair + first, sizeof(pair) - 1 - first),
                     sizeof(pair) - 1 - first);
    json = talk_hear(&t);
    assert_int_equal(json_integer_value(json_object_get(json, "id")), 2);
    json_decref(json);
    talk_end(&t);

    talk_begin(&t, false);
    (void)talk_ask(
        &t, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}", &json);
    json_decref(json);
    static const char three[] = "{\"execute\": \"stop\", \"id\": 1}{\"execute\": \"query-name\", "
                                "\"id\": 2}{\"exec-oob\": \"query-status\", \"id\": 3}";
    assert_int_equal(talk_give(&t, three, sizeof(three) - 1), sizeof(three) - 1);
    json = talk_hear(&t);
    assert_int_equal(json_integer_value(json_object_get(json, "id")), 3);
    json_decref(json);
    assert_int_equal(t.len, 0);
    talk_refused(&t, "{\"exec-oob\": \"stop\"}", "GenericError", "does not support OOB");
    for (json_int_t id = 1; id <= 2; id++) {
        json = talk_hear(&t);
        assert_int_equal(json_integer_value(json_object_get(json, "id")), id);
        json_decref(json);
    }
    /* The queue is bounded; what is in it when the client leaves is forgotten. */
    for (unsigned i = 0; i < 100; i++) {
        (void)talk_give(&t, pair, sizeof(pair) - 1);
    }
    assert_false(vr_qmp_takes(t.session));
    talk_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_negotiation), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_framing),     cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_bounds),      cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_own),         cmocka_unit_test(test_schema),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
