#!/bin/sh
# Packages from Red Hat, while the guest is registered: the registration and all it left ends with this step.
set -eu

root=${COMPOSE_ROOT:-}

if [ -z "$RHSM_ORGANIZATION" ] || [ -z "$RHSM_ACTIVATION_KEY" ]; then
    [ -z "$RHSM_PACKAGES" ] || { echo 'rhsm_packages needs rhsm_organization and rhsm_activation_key' >&2; exit 1; }
    exit 0
fi

leave() {
    status=$?
    trap - EXIT
    subscription-manager unregister || status=1
    subscription-manager clean || status=1
    rm -rf "$root"/etc/pki/consumer/* "$root"/etc/pki/entitlement/* "$root"/var/lib/rhsm/cache/* "$root"/var/log/rhsm/* \
        "$root/etc/yum.repos.d/redhat.repo"
    exit "$status"
}
trap leave EXIT
trap 'exit 1' HUP INT TERM

subscription-manager register --org="$RHSM_ORGANIZATION" --activationkey="$RHSM_ACTIVATION_KEY"
if command -v dnf > /dev/null; then tool=dnf; else tool=yum; fi
# Not the kernel: curtin's own steps fail on a tree that has two.
[ "$RHSM_UPDATE" != true ] || "$tool" -y --exclude='kernel*' upgrade
if [ -n "$RHSM_PACKAGES" ]; then
    echo "$RHSM_PACKAGES" | tr ',' '\n' | xargs "$tool" -y install
fi
