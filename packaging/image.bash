# SPDX-License-Identifier: Apache-2.0
#
# The OCI image: pki, the libraries that it opens with those that they need, their licences, and CA certificates; no shell, no
# package manager. script/package reads this file.

# shellcheck shell=bash disable=SC2154  # tree, work, result and python are script/package's

# What pki opens by name when a command needs it, and the C library when a thread ends. Keys in tokens and TPMs need devices
# and modules that no image has.
readonly -a opened=(libgcc_s.so.1 libcrypto.so.3 libssl.so.3 libsqlite3.so.0 libpq.so.5 libcurl.so.4)
readonly image_user=65532:65532

# Prints the path of each library that pki needs in the image, the loader and OpenSSL's provider for old ciphers included.
closure() {
    local directory=/usr/lib/x86_64-linux-gnu name
    local -a roots=("$tree/usr/bin/pki" "$directory/ossl-modules/legacy.so")
    for name in "${opened[@]}"; do
        [[ -f $directory/$name ]] || refuse "there is no $directory/$name" "run script/bootstrap"
        roots+=("$directory/$name")
    done
    {
        printf '%s\n' "${roots[@]:1}"
        env --ignore-environment ldd "${roots[@]}" | sed --regexp-extended --quiet \
            -e 's:^\t[^ ]+ => (/[^ ]+) \(0x.*:\1:p' -e 's:^\t(/lib64/[^ ]+) \(0x.*:\1:p'
    } | sed 's:^/lib:/usr/lib:' | sort --unique
}

# The licences ask for their texts to go with copies of the libraries.
lay_licences() {
    local package name
    "$python" packaging/attest.py packages "$work/closure" | while IFS= read -r package; do
        install -D --mode 644 "/usr/share/doc/$package/copyright" "$1/usr/share/doc/$package/copyright"
    done
    install -D --mode 644 --target-directory "$1/usr/share/doc/pki" "$tree"/usr/share/doc/pki/{copyright,NOTICE.txt}
    install --directory "$1/usr/share/common-licenses"
    grep --recursive --no-filename --only-matching --extended-regexp '/common-licenses/[A-Z][A-Za-z]+-[0-9]+(\.[0-9]+)*' \
        "$1/usr/share/doc" | sort --unique | while IFS= read -r name; do
        install --mode 644 "/usr/share$name" "$1/usr/share$name"
    done
}

lay_image() {
    local root=$work/image library
    install --directory "$root"/{etc/ssl/certs,run,tmp,usr/bin,home/nonroot}
    cp "$tree/usr/bin/pki" "$root/usr/bin/pki"
    while IFS= read -r library; do
        install -D --mode 644 "$library" "$root$library"
    done <"$work/closure"
    chmod 755 "$root"/usr/lib64/*
    ln --symbolic usr/lib "$root/lib"
    ln --symbolic usr/lib64 "$root/lib64"
    lay_licences "$root"
    # Mozilla's list in the version that requirements.txt pins, not this machine's list, which may have additions.
    install --mode 644 "$("$python" -m certifi)" "$root/etc/ssl/certs/ca-certificates.crt"
    printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
    printf '%s\n' root:x:0:0:root:/:/sbin/nologin nonroot:x:$image_user:nonroot:/home/nonroot:/sbin/nologin >"$root/etc/passwd"
    printf '%s\n' root:x:0: nonroot:x:65532: >"$root/etc/group"
    chmod 1777 "$root/tmp"
    chmod 700 "$root/home/nonroot"
    settle "$root"
    pack_tar "$root" . --exclude ./home/nonroot >"$work/layer.tar"
    # The home directory is the user's.
    pack_tar "$root" ./home/nonroot --owner "${image_user%:*}" --group "${image_user#*:}" >"$work/home.tar"
    tar --concatenate --file "$work/layer.tar" "$work/home.tar"
}

pack_image() {
    local layout=$work/layout created image
    created=$(date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
    closure >"$work/closure"
    lay_image
    image=$layout:$PKI_VERSION
    umoci init --layout "$layout"
    umoci new --image "$image"
    umoci raw add-layer --image "$image" --history.created "$created" --history.created_by script/package "$work/layer.tar"
    umoci config --image "$image" --no-history --created "$created" --os linux --architecture amd64 \
        --config.user "$image_user" --config.entrypoint /usr/bin/pki --config.workingdir /home/nonroot \
        --clear config.env --config.env PATH=/usr/bin --config.env HOME=/home/nonroot \
        --config.label org.opencontainers.image.title=pki \
        --config.label "org.opencontainers.image.description=$(sed --quiet 's/^  summary: //p' packaging/nfpm.yaml)" \
        --config.label "org.opencontainers.image.version=$PKI_VERSION" \
        --config.label "org.opencontainers.image.created=$created" \
        --config.label "org.opencontainers.image.revision=$PKI_REVISION" \
        --config.label org.opencontainers.image.licenses=Apache-2.0
    "$python" packaging/docker.py "$layout" "pki:$PKI_VERSION"
    umoci gc --layout "$layout"
    chmod --recursive u=rwX,go=rX "$layout"
    settle "$layout"
    pack_tar "$layout" . >"$result/pki-$PKI_VERSION-oci.tar"
}
