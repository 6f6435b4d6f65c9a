/**
 * What starts the installer in the live system of the medium. That is a system of systemd in the initrd whose root has the
 * installer's script for a login shell, and whose gettys log root in; drop-ins keep those from starting it beside ours.
 */

/** In the live system. */
export const FOLDER = 'root/compose';
const START = `/${FOLDER}/start`;

const UNIT = `[Unit]
Description=Installation without questions
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/bash ${START}
`;

const WANTED = '[Unit]\nWants=compose-install.service\n';
const NOT_HERE = `[Unit]\nConditionPathExists=!${START}\n`;

const UNITS = 'etc/systemd/system';

/** Files of the initrd, by their paths. */
export const LIVE_FILES: Readonly<Record<string, string>> = {
  [`${UNITS}/compose-install.service`]: UNIT,
  [`${UNITS}/multi-user.target.d/compose.conf`]: WANTED,
  [`${UNITS}/getty@.service.d/compose.conf`]: NOT_HERE,
  [`${UNITS}/serial-getty@.service.d/compose.conf`]: NOT_HERE,
};
