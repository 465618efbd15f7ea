"""QMP schemas side by side: what a client that was written against QEMU's would stumble over in ours.

QEMU's rules of compatibility (docs/devel/qapi-code-gen.rst, "Compatibility considerations"), read from the client's side:
- arguments: what QEMU takes we take, of the same type; what we ask for QEMU asks for; what only we take is x-vireo-.
- answers and events: what QEMU always tells we always tell, of the same type; what only we tell is x-vireo-.
- values of an enumeration that go out are some of QEMU's; those that come in are all of QEMU's."""


class Schema:
    """@entries: the answer to query-qmp-schema."""

    def __init__(self, entries):
        self.entry = {e["name"]: e for e in entries}

    def named(self, meta):
        return {name: e for name, e in self.entry.items() if e["meta-type"] == meta}

    def json_type(self, name):
        """What values look like: string, int, number, boolean, null, value, object, array or alternate."""
        e = self.entry[name]
        return e["json-type"] if e["meta-type"] == "builtin" else {"enum": "string"}.get(e["meta-type"], e["meta-type"])

    def values(self, name):
        e = self.entry[name]
        return set(e["values"]) if e["meta-type"] == "enum" else None

    def members(self, name):
        """{member: ([types], optional)}; of a union, those of every variant, as optional ones."""
        e = self.entry[name]
        all_ = {m["name"]: ([m["type"]], "default" in m) for m in e.get("members", [])}
        for variant in e.get("variants", []):
            for member, (types, _) in self.members(variant["type"]).items():
                all_.setdefault(member, ([], True))[0].extend(types)
        return all_


# What both write the same way in JSON. QEMU's "number" takes integers, "value" is anything.
def _fits(theirs, mine):
    return theirs == mine or theirs == "value" or mine == "value" or (theirs, mine) == ("number", "int")


class Compare:
    """After it was made, .found is {"where: what"}: differences, each once."""

    def __init__(self, theirs, mine):
        self.theirs, self.mine, self.found = theirs, mine, set()
        for name in sorted(set(theirs.named("command")) & set(mine.named("command"))):
            self.arguments(f"{name} takes", theirs.entry[name]["arg-type"], mine.entry[name]["arg-type"], ())
            self.types(f"{name} returns", theirs.entry[name]["ret-type"], mine.entry[name]["ret-type"], ())
        for name in sorted(set(theirs.named("event")) & set(mine.named("event"))):
            self.types(f"{name} tells", theirs.entry[name]["arg-type"], mine.entry[name]["arg-type"], ())
        for meta in ("command", "event"):
            for name in sorted(set(mine.named(meta)) - set(theirs.named(meta))):
                self.say(name.startswith("x-vireo-"), f"{meta} {name}", "only here")

    def say(self, fine, where, what):
        if not fine:
            self.found.add(f"{where}: {what}")

    def arguments(self, where, theirs, mine, seen):
        have, take = self.theirs.members(theirs), self.mine.members(mine)
        for name, (types, optional) in have.items():
            if name not in take:
                self.say(False, f"{where} {name}", "not here")
                continue
            self.say(take[name][1] or not optional, f"{where} {name}", "needed here")
            self.argument_type(f"{where} {name}", *self.nearest(types, take[name][0]), seen)
        for name, (_, optional) in take.items():
            self.say(name in have or (name.startswith("x-vireo-") and optional), f"{where} {name}", "only here")

    def nearest(self, theirs, mine):
        """A type of each, which look the same in JSON if any do."""
        pairs = [(t, m) for t in theirs for m in mine]
        return next((p for p in pairs if _fits(self.theirs.json_type(p[0]), self.mine.json_type(p[1]))), pairs[0])

    def argument_type(self, where, theirs, mine, seen):
        kinds = self.theirs.json_type(theirs), self.mine.json_type(mine)
        self.say(_fits(*kinds), where, "%s there, %s here" % kinds)
        if kinds == ("array", "array"):
            self.argument_type(where, *(s.entry[t]["element-type"] for s, t in ((self.theirs, theirs), (self.mine, mine))), seen)
        elif kinds == ("object", "object") and (theirs, mine) not in seen:
            self.arguments(where, theirs, mine, seen + ((theirs, mine),))
        for value in sorted((self.theirs.values(theirs) or set()) - (self.mine.values(mine) or set())):
            self.say(self.mine.values(mine) is None, where, f"not {value}")

    def types(self, where, theirs, mine, seen):
        kinds = self.theirs.json_type(theirs), self.mine.json_type(mine)
        self.say(_fits(*kinds) or kinds[0] == "alternate", where, "%s there, %s here" % kinds)
        if kinds == ("array", "array"):
            self.types(where, *(s.entry[t]["element-type"] for s, t in ((self.theirs, theirs), (self.mine, mine))), seen)
        elif kinds == ("object", "object") and (theirs, mine) not in seen:
            self.object(where, theirs, mine, seen + ((theirs, mine),))
        values = self.mine.values(mine) or set()
        for value in sorted(values - (self.theirs.values(theirs) or values)):
            self.say(value.startswith("x-vireo-"), where, f"{value} only here")

    def object(self, where, theirs, mine, seen):
        have, tell = self.theirs.members(theirs), self.mine.members(mine)
        for name, (types, optional) in have.items():
            if name in tell:
                self.say(optional or not tell[name][1], f"{where}.{name}", "not always here")
                self.types(f"{where}.{name}", *self.nearest(types, tell[name][0]), seen)
            else:
                self.say(optional, f"{where}.{name}", "not here")
        for name in tell:
            self.say(name in have or name.startswith("x-vireo-"), f"{where}.{name}", "only here")


def misfit(schema, type_, value, where="it"):
    """Why @value is no @type_ of @schema, or None. Members that begin with x-vireo- are left out."""
    e, kind = schema.entry[type_], schema.json_type(type_)
    if kind == "array":
        if not isinstance(value, list):
            return f"{where} is no list"
        return next((no for i, v in enumerate(value) if (no := misfit(schema, e["element-type"], v, f"{where}[{i}]"))), None)
    if kind == "alternate":
        return None if any(misfit(schema, m["type"], value) is None for m in e["members"]) else f"{where}: {value!r}"
    if kind != "object":
        good = {"string": isinstance(value, str), "boolean": isinstance(value, bool), "value": True,
                "null": value is None, "int": isinstance(value, int) and not isinstance(value, bool),
                "number": isinstance(value, (int, float)) and not isinstance(value, bool)}[kind]
        known = schema.values(type_)
        return None if good and (not known or value in known) else f"{where} is {value!r}, no {kind} of {type_}"
    if not isinstance(value, dict):
        return f"{where} is no object"
    members = {m["name"]: (m["type"], "default" in m) for m in e["members"]}
    for variant in e.get("variants", []):
        if value.get(e["tag"]) == variant["case"]:
            members |= {m["name"]: (m["type"], "default" in m) for m in schema.entry[variant["type"]]["members"]}
    for name, (member, optional) in members.items():
        if name not in value:
            if not optional:
                return f"{where}.{name} is missing"
        elif no := misfit(schema, member, value[name], f"{where}.{name}"):
            return no
    return next((f"{where}.{name} is unknown" for name in value if name not in members and not name.startswith("x-vireo-")),
                None)
