# Sourced by with-systemd before systemd starts: puts what `meson install` made where systemd and the bus look for it. $DESTDIR holds the
# tree, $PREFIX is where it belongs; the file systems that this covers are private to the namespace.
mount -t tmpfs -o mode=755 tmpfs /usr/local
cp -a "$DESTDIR/usr/local/." /usr/local/
mkdir -p /etc/dbus-1/system.d /usr/local/etc/inferd
cp "$DESTDIR"/usr/local/etc/dbus-1/system.d/*.conf /etc/dbus-1/system.d/
# an administrator with a real prefix would run these two; here the service's user exists only in the private /etc
systemd-sysusers /usr/local/lib/sysusers.d/inferd.conf
printf 'u inferd-tester - "Somebody" /home/inferd-tester /bin/sh\nu inferd-manager - "Somebody trusted" / /bin/sh\n' >/run/tester.conf
systemd-sysusers /run/tester.conf
mkdir -m 700 /home/inferd-tester
chown inferd-tester: /home/inferd-tester
systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/inferd.conf
# polkit learns of the action and lets one user do it
mkdir /run/actions
cp -a /usr/share/polkit-1/actions/. /usr/local/share/polkit-1/actions/. /run/actions/
mount --bind /run/actions /usr/share/polkit-1/actions
mkdir -p /etc/polkit-1/rules.d
cat >/etc/polkit-1/rules.d/50-test.rules <<'RULE'
polkit.addRule(function(action, subject) {
    if (action.id == "org.inferd.Inference1.manage-models" && subject.user == "inferd-manager")
        return polkit.Result.YES;
});
RULE
chmod -R a+rX /etc/polkit-1/rules.d
