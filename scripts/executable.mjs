import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';

// npm sets the mode of `bin` files, and links them for npx, only for packages it installs; a clone gets both here.
chmodSync(new URL('../dist/src/cli/main.js', import.meta.url), 0o755);
const bin = new URL('../node_modules/.bin/', import.meta.url);
mkdirSync(bin, { recursive: true });
rmSync(new URL('compose', bin), { force: true });
symlinkSync('../../dist/src/cli/main.js', new URL('compose', bin));
