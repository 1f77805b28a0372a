import Commands

EntryPoint.run(FinetuneCommand.self)
