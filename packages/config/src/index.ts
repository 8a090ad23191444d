export type { CacheConfig, CacheLatentsConfig, CacheTextConfig } from './cache-config.ts';
export { commandTable, findCommand, optionsOf } from './commands.ts';
export type { CommandSpec } from './commands.ts';
export { ConfigError } from './errors.ts';
export type { ConfigErrorCode, ConfigProblem } from './errors.ts';
export type { InspectConfig } from './inspect-config.ts';
export { nearestName } from './internal/nearest.ts';
export { parseKeyValue } from './key-value.ts';
export type { KeyValueFault } from './key-value.ts';
export { loggedOptions } from './logged-options.ts';
export type { AverageLorasConfig, ConvertLoraConfig, MergeLorasConfig } from './lora-config.ts';
export { optionGroups, plainDefault } from './option-spec.ts';
export type { OptionDefault, OptionGroup, OptionSpec, OptionSupport, OptionType } from './option-spec.ts';
export { optionTable } from './option-table.ts';
export type { Origin } from './origin.ts';
export { LiteralSyntaxError, parsePythonLiteral } from './python-literal.ts';
export { pythonFloat, pythonRepr, pythonText, toPlain } from './python-value.ts';
export type { PlainValue, PythonValue } from './python-value.ts';
export type { QuantizeConfig } from './quantize-config.ts';
export { readOptions } from './read-options.ts';
export type { OptionsRead, ReadOption, ReadText } from './read-options.ts';
export { resolveCommand, resolveOptions } from './resolve-options.ts';
export type { ResolvedCommand, ResolvedOptions, ResolveRequest } from './resolve-options.ts';
export { locateKeys } from './toml-lines.ts';
export type { KeyLine } from './toml-lines.ts';
export { countSteps } from './train-config.ts';
export type {
  LoggedOptions,
  LoggingConfig,
  NetworkKind,
  QinglongPreset,
  SavePrecision,
  StepsOrShare,
  TimestepSampling,
  TrainConfig,
  WandbConfig,
  WanTask,
  WeightingScheme,
} from './train-config.ts';
