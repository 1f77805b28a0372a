import Formats
import Foundation
import ModelGraph
import Reporting

extension FinetuneResult {
  /// What the card says beyond the report.
  /// - Parameter written: the model that was written; nil when that is an adapter.
  func card(of written: ModelBundle?) -> ModelCard.Output {
    if let written { return ModelCard.Output(of: written, as: .compressedTensors, from: run.model, .finetune, command: nil) }
    let hasOwnBase = FinetunedAdapter.hasOwnBase(run.settings)
    return ModelCard.Output(
      form: "an adapter in the layout of \(run.adapterFormat == .peft ? "PEFT" : "mlx-lm")"
        + (hasOwnBase ? ", and in \(FinetunedAdapter.baseName)/ the model it belongs to" : ""),
      baseModel: run.model.hubName, relation: .adapter, library: run.adapterFormat == .peft ? "peft" : "mlx", tags: ["lora"],
      usages: usages(hasOwnBase ? "\(ModelCard.place)/\(FinetunedAdapter.baseName)" : ModelCard.source, hasOwnBase: hasOwnBase))
  }

  /// - Parameter base: where the model is that the adapter stands beside.
  private func usages(_ base: String, hasOwnBase: Bool) -> [ModelCard.Usage] {
    let place = ModelCard.place
    let own = ModelCard.Usage(
      Tool.name, language: "sh", "deepseek-optimize generate --model \(base) --adapter \(place) --prompt \"The lighthouse\"")
    // Beside codes of its own no other program was seen to run one.
    guard !hasOwnBase || run.settings.base?.form == .normalFloat else { return [own] }
    switch run.adapterFormat {
    case .peft:
      let code = """
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained("\(base)")
        model = PeftModel.from_pretrained(model, "\(place)")
        """
      return [ModelCard.Usage("PEFT", language: "python", code), own]
    case .mlx:
      let code = "mlx_lm.generate --model \(base) --adapter-path \(place) --prompt \"The lighthouse\""
      return [ModelCard.Usage("mlx-lm", language: "sh", code), own]
    }
  }
}
