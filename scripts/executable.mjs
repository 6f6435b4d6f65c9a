import { chmodSync, existsSync } from 'node:fs';

// npm sets the mode of `bin` files only in packages it installs, not in a clone.
const main = new URL('../dist/src/cli/main.js', import.meta.url);
if (existsSync(main)) chmodSync(main, 0o755);
