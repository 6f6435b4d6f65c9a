import type { Client, SFTPWrapper } from 'ssh2';

/** A server that does not answer, or whose login shell prints before SFTP begins, is taken for one without. */
const OPEN_MS = 10_000;

/**
 * The server's SFTP subsystem; undefined where there is none that works. A start-up file that prints (bash reads ~/.bashrc
 * under sshd) puts its text in front of SFTP's first packet, whose length then is absurd.
 */
export function openSftp(client: Client): Promise<SFTPWrapper | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), OPEN_MS);
    const done = (sftp: SFTPWrapper | undefined): void => {
      clearTimeout(timer);
      resolve(sftp);
    };
    try {
      client.sftp((error, sftp) => {
        // What a broken one has to say later is of no use, and must not end the process.
        sftp?.on('error', () => done(undefined));
        done(error === undefined ? sftp : undefined);
      });
    } catch {
      done(undefined);
    }
  });
}
