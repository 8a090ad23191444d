export interface QuickStartOptions {
  readonly load?: (name: string, entry?: string) => Promise<unknown>;
  readonly sizes?: { readonly width?: number; readonly ffnWidth?: number; readonly heads?: number };
}

export function writeQuickStart(
  folder: string,
  options?: QuickStartOptions,
): Promise<readonly { readonly file: string; readonly caption: string }[]>;
