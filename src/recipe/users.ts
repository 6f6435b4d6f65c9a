/** Accounts an image is to have, beside what cloud-init makes. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { RecipeError } from '../errors.ts';
import type { Step } from '../guest/steps.ts';

const text = z.string().min(1);

export const user = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]*$/, 'an account has small letters, digits, dashes and underscores')
    .refine((name) => name !== 'root', "root's keys are those of the build, and go when the image is sealed"),
  keys: z.array(text).default([]).describe('public keys: the line itself, or a file beside the recipe that has some'),
  groups: z.array(text).default([]).describe('further groups; made where they are not there'),
  sudo: z.boolean().default(false).describe('may do everything, without a password'),
  shell: z.string().regex(/^\//, 'a shell is a path').default('/bin/bash'),
});

export type UserInput = z.input<typeof user>;
export type User = z.output<typeof user>;

/** A key that is a file on this host. */
export function isKeyFile(key: string): boolean {
  return /^\.{0,2}\//.test(key);
}

const SCRIPT = `#!/bin/sh -eu
id -u "$ACCOUNT" > /dev/null 2>&1 || useradd -m -s "$LOGIN_SHELL" "$ACCOUNT"
for group in $MEMBER_OF; do
    getent group "$group" > /dev/null || groupadd "$group"
    usermod -a -G "$group" "$ACCOUNT"
done
passwd -l "$ACCOUNT" > /dev/null
home=$(getent passwd "$ACCOUNT" | cut -d : -f 6)
if [ -n "$KEYS" ]; then
    mkdir -p "$home/.ssh"
    printf '%s\\n' "$KEYS" > "$home/.ssh/authorized_keys"
    chmod 0700 "$home/.ssh"
    chmod 0600 "$home/.ssh/authorized_keys"
    chown -R "$ACCOUNT:" "$home/.ssh"
    ! command -v restorecon > /dev/null || restorecon -R "$home/.ssh"
fi
if [ "$SUDO" = true ]; then
    echo "$ACCOUNT ALL=(ALL) NOPASSWD:ALL" > "/etc/sudoers.d/80-$ACCOUNT"
    chmod 0440 "/etc/sudoers.d/80-$ACCOUNT"
fi
`;

/**
 * The step that makes an account; its password is locked.
 * @throws RecipeError `recipe.key` for what is no public key
 */
export function userStep({ name, keys, groups, sudo, shell }: User): Step {
  const env = {
    ACCOUNT: name,
    LOGIN_SHELL: shell,
    MEMBER_OF: groups.join(' '),
    KEYS: keys.flatMap((key) => linesOf(key, name)).join('\n'),
    SUDO: String(sudo),
  };
  return { kind: 'shell', name: `user ${name}`, script: SCRIPT, env };
}

const KEY =
  /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+=*( .*)?$/;

function linesOf(key: string, user: string): string[] {
  const found = (isKeyFile(key) ? read(key, user) : key)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const wrong = found.length === 0 ? key : found.find((line) => !KEY.test(line));
  if (wrong === undefined) return found;
  throw new RecipeError(
    'recipe.key',
    `Cannot give ${user} a key: ${isKeyFile(key) ? key : 'what stands there'} is no public key`,
    {
      hint: 'A public key is one line: ssh-ed25519 AAAA… comment. Its file ends with .pub.',
    },
  );
}

function read(file: string, user: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new RecipeError('recipe.key', `Cannot give ${user} the key ${file}: ${(cause as Error).message}`, { cause });
  }
}
