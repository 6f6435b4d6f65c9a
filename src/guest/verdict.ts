import { type Evidence, ProvisionError } from '../errors.ts';
import type { NetworkFacts } from '../machine/network-sight.ts';
import type { AttemptState } from './attempt.ts';

/** Everything that is known when a login is given up. */
export interface Facts {
  readonly username: string;
  /** How near any attempt came, and how the last one ended. */
  readonly best: AttemptState;
  readonly last: AttemptState;
  readonly network: NetworkFacts | undefined;
  /** The guest's console shows a system that has come up. */
  readonly up: boolean;
  /** Another account that our key opens. */
  readonly otherUser: string | undefined;
  /** The guest itself says that it does not know the user. */
  readonly unknownUser: boolean;
  /** "within 90 s", "(idle for 10 s)": how it is known that no more will come. */
  readonly when: string;
  readonly expectedKey: string;
  readonly seenKey: string | undefined;
  readonly evidence: Evidence;
}

/** The error for a login that will not come; undefined when nothing is known of the guest's network and server. */
export function loginVerdict(facts: Facts): ProvisionError | undefined {
  const { last, best, network, username, when } = facts;
  if (last === 'wrong host key') {
    const evidence = { ...facts.evidence, expected: facts.expectedKey, seen: facts.seenKey };
    const hint = 'cloud-init may not have run; the serial log tells. Nothing was sent to that host key.';
    return fail(
      'ssh.host-key-mismatch',
      `Cannot log into the guest: it showed another host key than the one it was given ${when}`,
      hint,
      evidence,
    );
  }
  const told = (code: string, message: string, hint: string): ProvisionError =>
    fail(code, message, hint, facts.evidence);
  if (last === 'auth refused') {
    const { otherUser } = facts;
    if (otherUser !== undefined || facts.unknownUser) {
      const account = otherUser === undefined ? '' : `, and lets the same key in as ${otherUser}`;
      const hint = `Set the recipe's user${otherUser === undefined ? '' : ` to ${otherUser}`}, or have the seed create ${username}.`;
      return told(
        'ssh.wrong-user',
        `Cannot log into the guest: it has no account ${username} for our key${account} ${when}`,
        hint,
      );
    }
    const hint = `Check that the image lets ${username} in by key, and that cloud-init installed it (serial.log).`;
    return told('ssh.auth-refused', `Cannot log into the guest: it refused ${username}'s key ${when}`, hint);
  }
  if (best === 'banner') {
    return told(
      'ssh.no-handshake',
      `Cannot log into the guest: its SSH server says who it is and does not go on ${when}`,
      'The server hangs in the key exchange; a guest without entropy does. serial.log may tell.',
    );
  }
  if (network?.port22 === 'accepts') {
    return told(
      'ssh.silent',
      `Cannot log into the guest: its port 22 takes connections and says nothing ${when}`,
      'Something listens there that is no working SSH server: a socket unit whose service fails, or a server that hangs.',
    );
  }
  if (network?.port22 === 'refuses' || network?.port22 === 'speaks' || best === 'closed') {
    const what = network?.port22 === 'speaks' ? 'what answers there is not SSH' : 'no SSH server did';
    return told(
      'ssh.no-sshd',
      `Cannot log into the guest: its network answers, and ${what} ${when}`,
      'Check that openssh-server is installed and enabled; serial.log tells why it did not start.',
    );
  }
  if (network?.addressUsed) {
    return told(
      'ssh.filtered',
      `Cannot log into the guest: it has an address, and nothing answers on port 22 ${when}`,
      'A firewall in the guest drops connections to port 22, or its address is not the one that DHCP gives.',
    );
  }
  if (network !== undefined && facts.up) {
    const how = network.frames > 0 ? 'it never asked for an address' : 'not one frame came from it';
    return told(
      'net.no-dhcp',
      `Cannot log into the guest: it has come up without a network; ${how} ${when}`,
      'Check the driver (virtio-net) and that the image asks for DHCP on every interface, whatever its name.',
    );
  }
  return undefined;
}

/** The error when the time is up and no fact names the cause. */
export function loginTimeout(facts: Facts): ProvisionError {
  const missing: Partial<Record<AttemptState, string>> = {
    refused: 'nothing listens on port 22',
    silent: 'the port is open but silent',
  };
  const why = missing[facts.best] ?? `it came as far as "${facts.best}"`;
  const hint = 'The serial log tells how far the boot came: no DHCP lease, no sshd, or a slow guest.';
  return (
    loginVerdict(facts) ??
    fail('ssh.timeout', `Cannot log into the guest: no SSH login ${facts.when}; ${why}`, hint, facts.evidence)
  );
}

function fail(code: string, message: string, hint: string, evidence: Evidence): ProvisionError {
  return new ProvisionError(code, message, { hint, evidence });
}
