"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const { root, load } = require("./scripts.js");

const { unpack, decoded } = load("unpack", "decoded");
const payloads = JSON.parse(fs.readFileSync(path.join(root, "build/js/payloads.json"), "utf8")); // by `make test-js`
const MADE_TO_BE_DRAWN = ["kinds", "calls", "words"];

for (const [name, { packed, named }] of Object.entries(payloads)) {
  test(`the script reads of ${name} what Python filled`, async () => {
    const data = decoded(await unpack(packed));
    assert.deepEqual(Object.keys(data).sort(), Object.keys(named).sort());
    for (const key of Object.keys(named)) if (!MADE_TO_BE_DRAWN.includes(key)) assert.deepEqual(data[key], named[key], key);
    assert.deepEqual(data.calls.lanes, named.calls.lanes);
    named.calls.kinds.forEach((kind, i) => assert.deepEqual(data.calls.kinds[i], { calls: 0, spent: "", ...kind }));
    named.kinds.forEach((kind, i) => {
      const { shares, ...rest } = data.kinds[i];
      if (kind.shares) assert.deepEqual([rest.code, shares], [kind.code, kind.shares.map((part) => part / 16)]);
      else assert.deepEqual([rest, shares], [kind, null]);
    });
  });
}
