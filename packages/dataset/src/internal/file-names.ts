/** Name without its last extension: `a.b.png` → `a.b`; `.txt` is all name. */
export function withoutExtension(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot > 0 && !/^\.+$/.test(name.slice(0, dot)) ? name.slice(0, dot) : name;
}

/** The last extension with its dot: `a.b.png` → `.png`; empty where there is none. */
export function extensionOf(name: string): string {
  return name.slice(withoutExtension(name).length);
}

/** Last part of a path with either slash; empty after a final slash. */
export function lastPathPart(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** Name of a path's file without its last extension, which names its caches: `cats/a.b.png` → `a.b`. */
export function baseName(path: string): string {
  return withoutExtension(lastPathPart(path));
}

/** The number at the end of `name_12`, or null when what follows the last `_` is no number. */
export function numberSuffix(name: string): number | null {
  const suffix = name.slice(name.lastIndexOf('_') + 1);
  return /^\d+$/.test(suffix) ? Number(suffix) : null;
}
