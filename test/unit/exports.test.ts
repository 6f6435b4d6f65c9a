import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';
import * as library from '../../src/index.ts';

const src = join(packageRoot(), 'src');

test('the values of the library, no more and no fewer', () => {
  expect(Object.keys(library).sort()).toMatchInlineSnapshot(`
    [
      "CHECKED_LANGUAGES",
      "ComposeError",
      "EVENT_VERSION",
      "FormatError",
      "HostError",
      "InterruptedError",
      "LAYOUTS",
      "MachineError",
      "PackError",
      "ProvisionError",
      "PublishError",
      "RULES",
      "RecipeError",
      "Screen",
      "Screenshots",
      "SerialTap",
      "SourceError",
      "Typist",
      "UsageError",
      "VerifyError",
      "appendToInitrd",
      "attach",
      "bench",
      "build",
      "buildMany",
      "catalogueNames",
      "checkAnswerFile",
      "checkAnswerText",
      "checkRecipe",
      "debugRun",
      "defineRecipe",
      "deleteImage",
      "describeIso",
      "doctor",
      "findRunning",
      "followFile",
      "inspect",
      "isComposeError",
      "junit",
      "liftFromIso",
      "listImages",
      "loadRecipe",
      "makeSeed",
      "pack",
      "parseKeys",
      "plan",
      "planDifferences",
      "quietContext",
      "rehearse",
      "rehearseJunit",
      "rehearseText",
      "runInstaller",
      "runningRuns",
      "sarif",
      "scaffold",
      "seedVolume",
      "serveAnswers",
      "startMachine",
      "stream",
      "tapSerial",
      "upload",
      "verify",
      "verifyText",
      "viewerCommand",
    ]
  `);
});

/** The modules that `entry` needs before anything runs, by their path in src, and the packages they take. */
function needed(...entries: readonly string[]): { modules: string[]; packages: string[] } {
  const modules = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (modules.has(path)) return;
    modules.add(path);
    for (const [, what, from = ''] of readFileSync(path, 'utf8').matchAll(
      /^(?:import|export) ([^;]*?)from '([^']+)';$/gms,
    )) {
      const onlyTypes = what?.startsWith('type ') || /^\{(\s*type [^,}]+,?)+\s*\} $/.test(what ?? '');
      if (onlyTypes) continue;
      if (from.startsWith('.')) visit(join(dirname(path), from));
      else if (!from.startsWith('node:')) packages.add(from);
    }
  };
  for (const entry of entries) visit(join(src, entry));
  return { modules: [...modules].map((path) => relative(src, path)), packages: [...packages].sort() };
}

test('the command line loads no machine, session or download before a verb asks for it', () => {
  const verbs = readdirSync(join(src, 'cli/commands')).map((name) => `cli/commands/${name}`);
  const { modules, packages } = needed('cli/main.ts', ...verbs);
  expect(modules.length).toBeGreaterThan(20);
  expect(modules.every((path) => existsSync(join(src, path)))).toBe(true);
  expect(modules.filter((path) => /^(machine|guest|disk\/lvm)\//.test(path))).toEqual(['machine/keys-layouts.ts']);
  expect(packages.filter((name) => !/^(yargs|yaml)/.test(name))).toEqual([]);
  // What is loaded before the verb is known.
  expect(
    needed('cli/main.ts').modules.filter((path) => !/^(cli|host)\/|^(errors|events|formats\/human)\.ts$/.test(path)),
  ).toEqual([]);
});

test('what is built loads only what is built', () => {
  const built = readdirSync(join(packageRoot(), 'dist/src'), { recursive: true, encoding: 'utf8' });
  const modules = built.filter((path) => path.endsWith('.js'));
  expect(modules.length).toBeGreaterThan(300);
  const wrong = modules.filter((path) =>
    /\bimport\(\s*['"][^'"]*\.ts['"]|\bfrom ['"][^'"]*\.ts['"]/.test(
      readFileSync(join(packageRoot(), 'dist/src', path), 'utf8').replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, ''),
    ),
  );
  expect(wrong).toEqual([]);
});
