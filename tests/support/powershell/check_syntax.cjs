// node check_syntax.cjs MODULES FILE...: parses PowerShell files with the grammar in MODULES; one line
// "file:line:column: text" for each place that does not parse, and exit code 1.
"use strict";
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

async function main(modules, files) {
  const { Language, Parser } = createRequire(path.join(modules, "index.js"))("web-tree-sitter");
  await Parser.init();
  const parser = new Parser();
  parser.setLanguage(
    await Language.load(path.join(modules, "tree-sitter-powershell", "tree-sitter-powershell.wasm")));
  let wrong = 0;
  const report = (file, node) => {
    if (node.isError || node.isMissing) {
      const { row, column } = node.startPosition;
      console.log(`${file}:${row + 1}:${column + 1}: ${node.text.split("\n")[0] || "something is missing"}`);
      ++wrong;
    } else if (node.hasError) {
      node.children.forEach((child) => report(file, child));
    }
  };
  for (const file of files) report(file, parser.parse(fs.readFileSync(file, "utf8")).rootNode);
  return wrong === 0 ? 0 : 1;
}

const [modules, ...files] = process.argv.slice(2);
main(path.resolve(modules), files).then((code) => process.exit(code));
