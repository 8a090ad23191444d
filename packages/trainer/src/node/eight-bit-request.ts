import type { TrainConfig } from '@musubi/config';

import type { BaseModel } from './open-parts.ts';

import { type Device, hasBfloat16 } from './choose-device.ts';
import type { EightBitRequest } from './eight-bit-base.ts';

/** Which base model: `dit` the only one, or that for low noise. */
export type BaseOption = 'dit' | 'dit_high_noise';

/** The checkpoint as the user wrote its path. */
const pathOf = ({ dit, ditHighNoise }: Pick<TrainConfig, 'dit' | 'ditHighNoise'>, option: BaseOption): string =>
  option === 'dit' ? dit : (ditHighNoise ?? '');

/** What a base model in 8 bits depends on beside its checkpoint. */
export interface BaseGiven extends Pick<EightBitRequest, 'architecture' | 'merged'> {
  readonly device: Pick<Device, 'provider'>;
}

/** What file of 8-bit weights a device gets: to be made, planned or checked. */
export const eightBitRequest = (
  config: Pick<TrainConfig, 'dit' | 'ditHighNoise'>,
  option: BaseOption,
  { checkpoint, weights }: Pick<BaseModel<unknown>, 'checkpoint' | 'weights'>,
  { device, ...given }: BaseGiven,
): EightBitRequest => ({
  path: pathOf(config, option),
  checkpoint,
  weights,
  ...given,
  wide: !hasBfloat16(device),
});
