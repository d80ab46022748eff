"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const ts = require("typescript");
const { root } = require("./scripts.js");

/** All tokens of a text, each as it is written. */
function tokens(name) {
  const text = fs.readFileSync(path.join(root, "build/js", name), "utf8"); // by `make test-js`
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  assert.deepEqual(file.parseDiagnostics, []);
  const found = [];
  const visit = (node) => {
    if (node.kind >= ts.SyntaxKind.FirstJSDocNode && node.kind <= ts.SyntaxKind.LastJSDocNode) return;
    const parts = node.getChildren(file);
    if (parts.length) parts.forEach(visit);
    else if (node.getText(file)) found.push(node.getText(file));
  };
  visit(file);
  return found;
}

test("what is shipped is the sources without comments and blanks", () => {
  const shipped = tokens("shipped.js");
  assert.ok(shipped.length > 5000);
  assert.deepEqual(shipped, tokens("joined.js"));
});

test("what is shipped holds no comment and writes no markup", () => {
  const shipped = fs.readFileSync(path.join(root, "build/js/shipped.js"), "utf8");
  assert.doesNotMatch(shipped, /@param|\/\*|\/\/|innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
});
