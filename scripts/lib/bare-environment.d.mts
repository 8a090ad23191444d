export function bareEnvironment(folder: string): {
  readonly isWithoutNetwork: boolean;
  run(
    program: string,
    args: readonly string[],
    options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
  ): { readonly ok: boolean; readonly output: string };
};
