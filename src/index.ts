/** The public face of compose: every verb is a function with options, an AbortSignal and typed events. */

export type { AnswerProblem, AnswerTarget, CheckedLanguage } from './answers/check.ts';
export { CHECKED_LANGUAGES, checkAnswerText } from './answers/check.ts';
export type { BuildOptions, BuildResult } from './build/build.ts';
export { build } from './build/build.ts';
export type { BuildLimits, BuildOutcome } from './build/build-many.ts';
export { buildMany } from './build/build-many.ts';
export type { DebugOptions, DebugResult } from './build/debug.ts';
export { debugRun } from './build/debug.ts';
export type { Check } from './build/doctor.ts';
export { doctor } from './build/doctor.ts';
export type { Choice, Failed, OnError, Operator } from './build/on-error.ts';
export {
  ComposeError,
  FormatError,
  HostError,
  InterruptedError,
  isComposeError,
  MachineError,
  PackError,
  ProvisionError,
  PublishError,
  RecipeError,
  SourceError,
  UsageError,
  VerifyError,
} from './errors.ts';
export type { ComposeEvent, Context, Emit } from './events.ts';
export { EVENT_VERSION, quietContext } from './events.ts';
export type { Package, PackageManager, PackageSet } from './formats/package-list.ts';
export type { GuestSession } from './guest/session.ts';
export type { AnswerFile, AnswerServer } from './host/answer-server.ts';
export { serveAnswers } from './host/answer-server.ts';
export type { Accelerator, AcceleratorPolicy } from './machine/accelerator.ts';
export type { Arch } from './machine/arch.ts';
export type { BoundForward } from './machine/argv-network.ts';
export type { Attached } from './machine/attach.ts';
export { attach, followFile } from './machine/attach.ts';
export type { Firmware } from './machine/firmware.ts';
export type { InstallerOptions } from './machine/install.ts';
export { runInstaller } from './machine/install.ts';
export type { LiftedInstaller, WantedFiles } from './machine/installer-media.ts';
export { liftFromIso } from './machine/installer-media.ts';
export type { IsoDescription } from './machine/iso-describe.ts';
export { describeIso } from './machine/iso-describe.ts';
export type { TypingStep, TypingVariables } from './machine/key-grammar.ts';
export { parseKeys } from './machine/key-grammar.ts';
export type { LayoutName } from './machine/keys-layouts.ts';
export { LAYOUTS } from './machine/keys-layouts.ts';
export type { QmpSession } from './machine/qmp.ts';
export type { RunningRun } from './machine/running.ts';
export { findRunning, runningRuns } from './machine/running.ts';
export { Screen } from './machine/screen.ts';
export type { ScreenshotOptions } from './machine/screenshots.ts';
export { Screenshots } from './machine/screenshots.ts';
export { SerialTap, tapSerial } from './machine/serial-tap.ts';
export type { MachineDisk, MachineSpec, PortForward } from './machine/spec.ts';
export type { PowerOff, RunningMachine, StartOptions, StoppedMachine } from './machine/start.ts';
export { startMachine } from './machine/start.ts';
export type { Evidence as TypingEvidence, TypingReport, TypistOptions } from './machine/typist.ts';
export { Typist } from './machine/typist.ts';
export type { View, ViewKind } from './machine/view.ts';
export { viewerCommand } from './machine/view.ts';
export type { GuestWatch, WatchBudgets } from './machine/watch-guest.ts';
export type { FileType } from './pack/filetypes.ts';
export type { PackOptions, PackResult } from './pack/pack.ts';
export { pack } from './pack/pack.ts';
export type { PackageRecord } from './pack/package-records.ts';
export type { Artifact, MaasEntry } from './pack/records.ts';
export type { SbomFormat } from './pack/sbom-formats.ts';
export type { TreeManifest } from './pack/tree-manifest.ts';
export type { MaasLogin } from './publish/access.ts';
export type { Image, ImageVersion } from './publish/boot-resources.ts';
export type { Existing } from './publish/existing-modes.ts';
export type { DeleteOptions, ImagesOptions } from './publish/images.ts';
export { deleteImage, listImages } from './publish/images.ts';
export type { StreamedProduct, StreamOptions, StreamReport } from './publish/stream.ts';
export { stream } from './publish/stream.ts';
export type { UploadedImage, UploadOptions, UploadReport } from './publish/upload.ts';
export { upload } from './publish/upload.ts';
export type { AnswerFunction, AnswerInputs, AnswerLanguage } from './recipe/answer-inputs.ts';
export type { FileProblem } from './recipe/answer-problems.ts';
export { catalogueNames } from './recipe/catalogue.ts';
export type { AnswerFileOptions, CheckedAnswers } from './recipe/check-recipe.ts';
export { checkAnswerFile, checkRecipe } from './recipe/check-recipe.ts';
export type { Difference } from './recipe/differences.ts';
export { planDifferences } from './recipe/differences.ts';
export { loadRecipe } from './recipe/load.ts';
export type { Plan, PlanOptions } from './recipe/plan.ts';
export { plan } from './recipe/plan.ts';
export type { Scaffold } from './recipe/scaffold.ts';
export { scaffold } from './recipe/scaffold.ts';
export type { Recipe, RecipeInput } from './recipe/schema.ts';
export { defineRecipe } from './recipe/schema.ts';
export type { UserInput } from './recipe/users.ts';
export type { Failure as RehearsalFailure } from './rehearse/failure.ts';
export type { RehearsalCheck } from './rehearse/guest-checks.ts';
export type { RehearsalNetwork } from './rehearse/network.ts';
export type { RehearseOptions } from './rehearse/rehearse.ts';
export { rehearse } from './rehearse/rehearse.ts';
export type { RehearseReport } from './rehearse/report.ts';
export { rehearseJunit } from './rehearse/report-junit.ts';
export { rehearseText } from './rehearse/report-text.ts';
export type { RehearsedStage } from './rehearse/timeline.ts';
export type { InitrdFile } from './seed/initrd.ts';
export { appendToInitrd } from './seed/initrd.ts';
export type { MadeSeed, SeedOptions } from './seed/make.ts';
export { makeSeed } from './seed/make.ts';
export type { SeedKind, SeedMember, SeedVolume } from './seed/volume.ts';
export { seedVolume } from './seed/volume.ts';
export type { BenchOptions } from './tune/bench.ts';
export { bench } from './tune/bench.ts';
export type { BenchResult } from './tune/report.ts';
export type { Inspection } from './verify/inspect.ts';
export { inspect } from './verify/inspect-artifact.ts';
export type { Finding, RuleState, VerifyReport } from './verify/judge.ts';
export { junit } from './verify/reports/junit.ts';
export { sarif } from './verify/reports/sarif.ts';
export { verifyText } from './verify/reports/text.ts';
export type { Problem, Rule, RuleScope, Severity } from './verify/rule.ts';
export { RULES } from './verify/rules/index.ts';
export type { AllowInput, VerifySettings } from './verify/settings.ts';
export type { VerifyOptions } from './verify/verify.ts';
export { verify } from './verify/verify.ts';
