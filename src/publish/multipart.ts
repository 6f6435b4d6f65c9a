import { randomBytes } from 'node:crypto';

export interface Form {
  readonly contentType: string;
  readonly body: Buffer;
}

/** `fields` as multipart/form-data (RFC 7578), whole in memory so that its length is sent: MAAS reads no chunked bodies. */
export function multipartForm(fields: Readonly<Record<string, string>>): Form {
  const boundary = `compose-${randomBytes(16).toString('hex')}`;
  const parts = Object.entries(fields).map(
    ([name, value]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${value}\r\n`,
  );
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.from(`${parts.join('')}--${boundary}--\r\n`),
  };
}
