/** What kind of place this process runs in, as far as it decides whether loopback can be trusted. */
import { existsSync, readFileSync } from 'node:fs';

/**
 * Whether this is a container. There, loopback is no proof of being the same person: port forwarders and service meshes deliver strangers
 * from 127.0.0.1. A virtual machine booted from a container image keeps the image's marker file, but its root is a disk of its own.
 */
export const isInContainer = (): boolean => {
  if (process.env['KUBERNETES_SERVICE_HOST'] !== undefined || process.env['container'] !== undefined) {
    return true;
  }
  return (
    existsSync('/run/.containerenv') ||
    (existsSync('/.dockerenv') && !hasRootDiskOfItsOwn(readOr('/proc/self/mountinfo', '')))
  );
};

/** In `mountinfo` (proc(5)): field 4 is the root within the device, field 5 the mount point, the device follows ` - type `. */
export const hasRootDiskOfItsOwn = (mountInfo: string): boolean =>
  mountInfo.split('\n').some((line) => {
    const [mount = '', device = ''] = line.split(' - ');
    const fields = mount.split(' ');
    return fields[3] === '/' && fields[4] === '/' && (device.split(' ')[1] ?? '').startsWith('/dev/');
  });

const readOr = (path: string, fallback: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fallback;
  }
};
