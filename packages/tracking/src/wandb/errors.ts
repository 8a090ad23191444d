/** Codes of `WandbError`: what wandb answered, or that it did not. */
export type WandbErrorCode = 'WANDB_UNREACHABLE' | 'WANDB_KEY' | 'WANDB_REFUSED' | 'WANDB_ANSWER' | 'WANDB_SPOOL';

const remedies: Readonly<Record<WandbErrorCode, string>> = {
  WANDB_UNREACHABLE: 'Check the network, and WANDB_BASE_URL if you set it.',
  WANDB_KEY: 'Give a valid key as wandb_api_key or in WANDB_API_KEY.',
  WANDB_REFUSED: 'Check log_tracker_name, and entity in log_tracker_config.',
  WANDB_ANSWER: 'Check WANDB_BASE_URL: it should be the address of a wandb server.',
  WANDB_SPOOL: 'Give a file that a run left in its wandb folder.',
};

/** A run that could not be sent to wandb. Recognise it by `code`. */
export class WandbError extends Error {
  override readonly name = 'WandbError';
  readonly code: WandbErrorCode;
  readonly remedy: string;
  /** Whether the same request may succeed later. */
  readonly isTemporary: boolean;

  constructor(code: WandbErrorCode, problem: string, options: { isTemporary?: boolean; cause?: unknown } = {}) {
    super(`${problem} ${remedies[code]}`, { cause: options.cause });
    this.code = code;
    this.remedy = remedies[code];
    this.isTemporary = options.isTemporary ?? false;
  }
}
