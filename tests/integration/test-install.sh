#!/bin/sh
# test-install.sh MESON BUILD PREFIX SYSCONFDIR: installs into a folder of its own and checks that everything is there, in its place, and
# that nothing installed refers to the build.
set -eu

meson=$1 build=$2 prefix=$3
case $4 in /*) sysconfdir=$4 ;; *) sysconfdir=$prefix/$4 ;; esac
root=$(mktemp -d "${TMPDIR:-/tmp}/test-install.XXXXXX")
trap 'rm -rf "$root"' EXIT
DESTDIR=$root "$meson" install -C "$build" --no-rebuild --quiet

failed=0
fail() {
    echo "test-install: $*" >&2
    failed=1
}

policy=$sysconfdir/dbus-1/system.d
systemd=$prefix/lib/systemd
if [ "$prefix" = /usr ]; then
    policy=/usr/share/dbus-1/system.d
    [ ! -d "$root/lib/systemd" ] || systemd=/lib/systemd
fi
for file in "$prefix/bin/inferd" "$prefix/bin/infer" \
    "$systemd/system/inferd.service" "$systemd/system/inferd.socket" "$prefix/lib/systemd/user/inferd.service" \
    "$prefix/lib/systemd/user/inferd.socket" "$prefix/lib/sysusers.d/inferd.conf" "$prefix/lib/tmpfiles.d/inferd.conf" \
    "$policy/org.inferd.Inference1.conf" "$prefix/share/dbus-1/system-services/org.inferd.Inference1.service" \
    "$prefix/share/dbus-1/services/org.inferd.Inference1.service" \
    "$prefix/share/dbus-1/interfaces/org.inferd.Inference1.Manager.xml" \
    "$prefix/share/dbus-1/interfaces/org.inferd.Inference1.Session.xml" \
    "$prefix/share/polkit-1/actions/org.inferd.Inference1.policy" "$prefix/lib/inferd/inferd.conf" \
    "$prefix/share/inferd/tiny-r1.gguf" \
    "$prefix/share/man/man1/infer.1" "$prefix/share/man/man8/inferd.8" "$prefix/share/man/man5/inferd.conf.5" \
    "$prefix/share/bash-completion/completions/infer" "$prefix/share/zsh/site-functions/_infer" \
    "$prefix/share/fish/vendor_completions.d/infer.fish"; do
    [ -s "$root$file" ] || fail "$file is missing"
done

# whatever is started by these is the program that is installed
for file in "$systemd/system/inferd.service" "$prefix/lib/systemd/user/inferd.service"; do
    grep -q "^ExecStart=$prefix/bin/inferd" "$root$file" || fail "$file does not start $prefix/bin/inferd"
done
grep -q "^Exec=$prefix/bin/inferd --user" "$root$prefix/share/dbus-1/services/org.inferd.Inference1.service" ||
    fail "the session's activation file does not start $prefix/bin/inferd"
if grep -rlIF -e "$build" -e @bindir@ "$root" >&2; then
    fail "these files refer to the build"
fi

# the documentation speaks of every option there is
for option in $("$root$prefix/bin/infer" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u); do
    grep -qF -- "$(printf %s "$option" | sed 's/-/\\-/g')" "$root$prefix/share/man/man1/infer.1" || fail "infer.1 does not know $option"
    for shell in bash-completion/completions/infer zsh/site-functions/_infer; do
        grep -qF -- "$option" "$root$prefix/share/$shell" || fail "$shell does not know $option"
    done
    grep -q -- "-l ${option#--}\b" "$root$prefix/share/fish/vendor_completions.d/infer.fish" || fail "infer.fish does not know $option"
done
for option in $("$root$prefix/bin/inferd" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u); do
    grep -qF -- "$(printf %s "$option" | sed 's/-/\\-/g')" "$root$prefix/share/man/man8/inferd.8" || fail "inferd.8 does not know $option"
done
for key in $("$root$prefix/bin/inferd" --check-config | sed -n '/^\[Defaults\]/q; s/^\([A-Za-z]*\)=.*/\1/p'); do
    grep -q "^\.I $key=" "$root$prefix/share/man/man5/inferd.conf.5" || fail "inferd.conf.5 does not know $key"
done
for page in man1/infer.1 man8/inferd.8 man5/inferd.conf.5; do
    complaints=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$root$prefix/share/man/$page" 2>&1 >/dev/null)
    [ -z "$complaints" ] || fail "$page: $complaints"
done
exit $failed
