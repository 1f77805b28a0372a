/// The name and version that reports and checkpoints carry.
public enum Tool {
  public static let name = "DeepSeekOptimize"
  public static let version = "0.1.0"
}
