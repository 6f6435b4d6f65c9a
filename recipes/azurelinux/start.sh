#!/bin/bash
# Run in the live system of the medium, by a unit beside it: the vendor's installer with our answers, and its end.
exec > /dev/console 2>&1
here=/root/compose
ended=/run/compose-installed

# The installer runs it in the new system by its path.
chmod 755 "$here/installed.sh"

# The vendor's script calls this after a good installation, and a shell after any other; both ways its status is 0.
reboot() { : > /run/compose-installed; }
export -f reboot

/root/runliveinstaller -u "$here/unattended_config.json" -c "$here" < /dev/null

if [ -e "$ended" ]; then
    echo 'compose: the installer is done'
    sync
    systemctl poweroff
    exit 0
fi
for log in /installer/log.txt /var/log/imager.log; do
    [ ! -e "$log" ] || tail -n 15 "$log"
done
echo 'compose: the installer of Azure Linux ended without an installation'
