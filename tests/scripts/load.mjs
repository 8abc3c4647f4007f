// Loads browser scripts of assets/ as the pages do: one after another, in strict mode, without modules.

import { readFileSync } from "node:fs";
import vm from "node:vm";

const ASSETS = new URL("../../assets/", import.meta.url);

// The `names` that the scripts define. globals: what a browser has and the scripts use.
export function load(scripts, names, globals = {}) {
  const context = vm.createContext({ TextDecoder, setTimeout, ...globals });
  const code = scripts.map((name) => readFileSync(new URL(name, ASSETS), "utf8")).join("\n");
  return vm.runInContext(`"use strict";\n${code}\n;({ ${names.join(", ")} })`, context, {
    filename: scripts.join("+"),
  });
}

// As plain objects of this realm, so that they can be compared.
export const plain = (value) => JSON.parse(JSON.stringify(value));
