# SPDX-License-Identifier: GPL-2.0-only
#
# For NixOS, which builds modules for the one kernel of a configuration and needs no DKMS:
#   boot.extraModulePackages = [
#     (config.boot.kernelPackages.callPackage ./tools/packaging/nix { })
#   ];
{ lib, stdenv, kernel }:

stdenv.mkDerivation {
  pname = "xfrm-ext";
  version = "0.9.0-${kernel.version}";

  src = lib.cleanSource ../../..;

  hardeningDisable = [ "pic" "format" ];
  nativeBuildInputs = kernel.moduleBuildDependencies;

  # The tree's own Makefile is for people
  buildPhase = ''
    runHook preBuild
    make -C ${kernel.dev}/lib/modules/${kernel.modDirVersion}/build M=$PWD \
      CONFIG_DEBUG_INFO_BTF_MODULES= -j$NIX_BUILD_CORES modules
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    install -D -m 644 -t $out/lib/modules/${kernel.modDirVersion}/extra xfrm_ext.ko
    install -D -m 644 -t $out/include/linux include/uapi/linux/xfrm_ext.h
    runHook postInstall
  '';

  meta = {
    description = "Several sequence counters on one IPsec SA";
    license = lib.licenses.gpl2Only;
    platforms = [ "x86_64-linux" ];
    broken = lib.versionOlder kernel.version "6.1";
  };
}
