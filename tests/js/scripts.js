"use strict";
// The scripts of the picture for the tests: all of the folder in one scope, as they are shipped.
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const root = path.join(__dirname, "..", "..");
const folder = path.join(root, "src/concmagic/renderers/html_resources");

/** What stands under these names at the top of the scripts. @param {...string} names */
function load(...names) {
  const sources = fs.readdirSync(folder).filter((name) => name.endsWith(".js")).map((name) => fs.readFileSync(path.join(folder, name), "utf8"));
  return vm.runInThisContext(`(() => {\n${sources.join("\n")}\nreturn { ${names.join(", ")} };\n})()`);
}

module.exports = { root, load };
