import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { AUTOYAST, CLOUD_CONFIG, KICKSTARTS, PRESEED } from '../../fixtures/answer-files.ts';
import { readXml } from '../../src/answers/autoyast/xml.ts';
import { checkAnswerText } from '../../src/answers/check.ts';

const folder = mkdtempSync(join(tmpdir(), 'compose-answers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Whether the tool takes `text`: it ends with 0 and says nothing. */
function takes(tool: string, args: readonly string[], text: string): boolean {
  const file = join(folder, 'answers');
  writeFileSync(file, text);
  const { status, stderr, error } = spawnSync(tool, [...args, file], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (error !== undefined) throw error;
  return status === 0 && stderr.trim() === '';
}

function has(tool: string): boolean {
  return spawnSync(tool, ['--help']).error === undefined;
}

const PRESEEDS: readonly (readonly [from: string, to: string, reason: string])[] = [
  ['', '', 'as it is'],
  ['d-i time/zone string Etc/UTC', 'd-i time/zone strng Etc/UTC', 'a type nobody knows'],
  ['d-i time/zone string Etc/UTC', 'd-i time/zone', 'no type'],
  ['d-i time/zone string Etc/UTC', 'd-i', 'no question'],
  ['d-i time/zone string Etc/UTC', 'd-i\ttime/zone\tstring\tEtc/UTC', 'tabs'],
  ['d-i time/zone string Etc/UTC', 'd-i time/zone string Etc/UTC\r', 'a line end of Windows'],
  ['systemctl enable ssh; \\\n', 'true; \\\n \\\n', 'a continued line of nothing'],
];
test.each(PRESEEDS)('debconf-set-selections takes the preseed lines that we take: %j → %j', (from, to, reason) => {
  const text = PRESEED.replace(from, to);
  const shape = checkAnswerText('preseed', text, { family: 'debian', version: '12' }).filter(({ code }) =>
    ['preseed.shape', 'preseed.type'].includes(code),
  );
  expect(shape.length === 0, reason).toBe(takes('debconf-set-selections', ['-c'], text));
});

const XMLS: readonly (readonly [from: string, to: string, reason: string])[] = [
  ['', '', 'as it is'],
  ['</loader_type>', '</loader>', 'not nested'],
  ['&amp;', '&', 'a bare ampersand'],
  ['&amp;', '&#38;&#x26;&lt;', 'other ways to write it'],
  ['&amp;', '&nbsp;', 'an entity of HTML'],
  ['config:type="integer"', 'config:type=integer', 'no quotes'],
  ['config:type="integer"', "config:type='integer'", 'single quotes'],
  ['config:type="integer"', 'config:type="integer" config:type="integer"', 'an attribute twice'],
  ['config:type="integer"', 'config:type="a<b"', 'a bracket in an attribute'],
  ['</profile>', '', 'cut off'],
  ['</profile>', '</profile><profile/>', 'two roots'],
  ['</profile>', '</profile>text', 'text behind it'],
  ['<scripts>', '<!-- <a> --><scripts>', 'a comment'],
  ['<scripts>', '<!-- <scripts>', 'a comment without an end'],
  ['<!DOCTYPE profile>', '<!DOCTYPE profile [ <!ENTITY a "b"> ]>', 'declarations of its own'],
  ['<loader_type>', '<loader_type\n  >', 'a tag over two lines'],
  ['<loader_type>', '<1oader_type>', 'a name that begins with a digit'],
];
test.each(XMLS)('xmllint takes the XML that we take: %j → %j', (from, to, reason) => {
  const text = AUTOYAST.replace(from, to);
  expect(!('broken' in readXml(text)), reason).toBe(takes('xmllint', ['--noout'], text));
});

const RELEASES: Readonly<Record<string, string>> = { el: 'RHEL', fedora: 'F' };
test.skipIf(!has('ksvalidator'))('ksvalidator takes every kickstart that we take, and refuses what we refuse', () => {
  for (const { target, text } of KICKSTARTS) {
    const line = RELEASES[target.family];
    if (line === undefined) continue;
    const args = ['-i', '-v', `${line}${target.version}`];
    const file = join(folder, 'ks');
    const status = (content: string): number | null => {
      writeFileSync(file, content);
      return spawnSync('ksvalidator', [...args, file]).status;
    };
    expect(status(text), `${target.family} ${target.version}`).toBe(0);
    expect(status(text.replace('skipx', 'skipxx'))).not.toBe(0);
    expect(status(text.replace('firewall --enabled', 'firewall --enabld'))).not.toBe(0);
  }
});

test.skipIf(!has('cloud-init'))('cloud-init takes the cloud-config that we take, and refuses what we refuse', () => {
  const valid = (text: string): boolean => {
    const file = join(folder, 'user-data');
    writeFileSync(file, text);
    return spawnSync('cloud-init', ['schema', '--config-file', file]).status === 0;
  };
  expect(valid(CLOUD_CONFIG)).toBe(true);
  expect(valid(CLOUD_CONFIG.replace('mode: auto', 'mode: atuo'))).toBe(false);
});
